"""Contract of decoders."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distaff._checks import error
from distaff.extend._checks import CELLS, GENES, check_module, check_tensor, draw
from distaff.nn import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder

__all__ = ["check_decoder"]

HEADS = (("scale",), ("scale", "dropout", "dispersion"))
ALONE = CovariateSpec(n_batch=1)
WITH_COVARIATES = CovariateSpec(n_batch=3, n_labels=2, n_cats_per_cov=(2,), n_continuous=2)
N_LATENT, N_SAMPLES = 3, 4


def check_decoder(build: Callable[..., AbstractDecoder]) -> None:
    """Check a decoder: heads, several draws at once, covariates, gradients, saved state.

    Parameters
    ----------
    build
        Called with the numbers of latent dimensions and genes, the heads, and ``spec``, as in
        :func:`distaff.extend.register_decoder`.

    Raises
    ------
    AssertionError
        If the decoder breaks a rule; the message says which.

    Examples
    --------
    >>> from distaff.nn.additive_decoder import AdditiveDecoder
    >>> check_decoder(AdditiveDecoder)
    """
    for heads in HEADS:
        for spec in (ALONE, WITH_COVARIATES):
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(0)
                decoder = build(N_LATENT, GENES, heads, spec=spec)
            if not isinstance(decoder, AbstractDecoder):
                rule = "build must return an AbstractDecoder of distaff.nn.decoders"
                raise error(rule, got=type(decoder).__name__, kind=AssertionError)
            _check_heads(decoder, heads, spec)


def _covariates(spec: CovariateSpec) -> Covariates:
    cells = torch.arange(CELLS)
    columns = [cells % n for n in spec.n_cats_per_cov]
    return Covariates(
        batch=(cells % spec.n_batch).unsqueeze(1),
        labels=(cells % spec.n_labels).unsqueeze(1),
        categorical=torch.stack(columns, dim=1) if columns else None,
        continuous=draw(CELLS, spec.n_continuous) if spec.n_continuous else None,
    )


def _check_heads(decoder: AbstractDecoder, heads: tuple[str, ...], spec: CovariateSpec) -> None:
    covariates, z = _covariates(spec), draw(CELLS, N_LATENT)
    found = decoder(z, covariates)
    if set(found) != set(heads):
        raise error(f"The decoder must have the heads {heads}", got=tuple(found), kind=AssertionError)
    for name, value in found.items():
        check_tensor(f"Head {name!r}", value, (CELLS, GENES))
    weights = draw(CELLS, GENES, seed=1)

    def total(part: torch.nn.Module) -> Tensor:
        return sum((value * weights).sum() for value in part(z, covariates).values())  # type: ignore[return-value]

    check_module(decoder, total)
    _check_samples(decoder, covariates)


def _check_samples(decoder: AbstractDecoder, covariates: Covariates) -> None:
    z = draw(N_SAMPLES, CELLS, N_LATENT)
    with torch.no_grad():
        together = decoder(z, covariates)["scale"]
        check_tensor("Head 'scale' of several draws", together, (N_SAMPLES, CELLS, GENES))
        for one, sample in zip(together, z, strict=True):
            if not torch.allclose(one, decoder(sample, covariates)["scale"], atol=1e-5):
                rule = "Several draws at once must give what each gives alone"
                raise error(rule, got="other values", kind=AssertionError)
