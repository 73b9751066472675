"""One optimiser step of a whole module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor, nn

from distaff.module.by_hand.adam import Adam
from distaff.module.by_hand.additive_decoder import AdditiveDecoderStep
from distaff.module.by_hand.encoder import EncoderStep
from distaff.module.by_hand.linear_decoder import LinearDecoderStep
from distaff.module.by_hand.mlp_decoder import MLPDecoderStep
from distaff.module.minibatch import MinibatchLoss
from distaff.nn.annotated_decoder import AnnotatedDecoder
from distaff.nn.decoders import MLPDecoder
from distaff.nn.dispersions import GeneDispersion
from distaff.nn.encoders import Log1p, MLPEncoder
from distaff.nn.libraries import LearnedLibrary, ObservedLibrary
from distaff.nn.likelihoods import NegativeBinomialLikelihood, ZeroInflatedNegativeBinomialLikelihood
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.links import Identity, Softplus
from distaff.nn.posteriors import NonNegativePosterior, NormalPosterior
from distaff.nn.priors import StandardNormalPrior
from distaff.nn.readouts import AdditiveRate, LogLinearRate
from distaff.objectives import BetaKL
from distaff.ops.batch_norm import MOST_FEATURES
from distaff.ops.csr import CSR, csr_arrays, is_csr32, transposed
from distaff.ops.kernels.vectors import log1p_values, sum_rows

__all__ = ["WholeStep"]


class WholeStep:
    """Optimiser steps of a module that :meth:`of` has found to fit.

    Parameters
    ----------
    module
        Module whose parameters are changed in place.
    optimiser
        Its Adam, whose state is read and kept.
    """

    def __init__(self, module: Any, optimiser: torch.optim.Optimizer) -> None:
        self.module = module
        self.adam = Adam(optimiser)
        self.encoder = EncoderStep(module.encoder.body, module.posterior, self.adam)
        self.library, library = None, module.library
        if isinstance(library, LearnedLibrary):
            self.library = EncoderStep(library.encoder.body, library.posterior, self.adam)
            moments = library.log_means, library.log_variances.sqrt()
            self.library_prior = [moment.numpy()[:, None] for moment in moments]  # of each batch
        self.decoder: Any = _step_of(module.decoder)(module, self.adam)

    @classmethod
    def of(cls, module: Any, optimiser: torch.optim.Optimizer) -> WholeStep | None:
        """Return the step of a module, or None where autograd has to do it."""
        if not _is_known(module) or type(optimiser) is not torch.optim.Adam:
            return None
        step = cls(module, optimiser)
        in_training = {id(p) for group in optimiser.param_groups for p in group["params"]}
        return step if in_training == step.adam.parameters() and step.adam.is_contiguous() else None

    def __call__(self, tensors: dict[str, Tensor]) -> MinibatchLoss | None:
        """Take one step, penalties included; None, with nothing done, where counts are not sparse on the CPU.

        The parameters are up to date after :meth:`store` only.
        """
        x = tensors[REGISTRY_KEYS.X_KEY]
        if not is_csr32(x):
            self.store()
            return None
        self.adam.gather()
        counts = csr_arrays(x)
        covariates = self.module._covariates(tensors)
        (term,) = self.module.objective.terms
        beta = term.schedule(self.module.objective.step)
        weight = beta / len(x)
        rows = CSR(counts.indptr, counts.indices, np.empty_like(counts.values))
        log1p_values(counts.values, rows.values)
        n_cells, kl_library = len(x), np.zeros((len(x), 1), np.float32)
        self.encoder.read(rows, n_cells)
        if self.library is not None:
            self.library.read(rows, n_cells)
        z, kl = self.encoder.draw(0.0, 1.0)
        if self.library is None:
            log_size = _log_sizes(counts)
        else:
            batch = covariates.batch.long().numpy().reshape(-1)
            sizes, kl_library = self.library.draw(*(m.take(batch, axis=0) for m in self.library_prior))
            log_size = torch.from_numpy(sizes)
        log_likelihood, d_z, d_size = self.decoder.run(counts, torch.from_numpy(z), log_size, covariates)
        columns = transposed(rows, x.shape[1])
        self.adam.advance()
        self.decoder.update()
        self.encoder.update(columns, d_z, weight)
        if self.library is not None:
            self.library.update(columns, d_size, 1.0 / n_cells)
        self.adam.finish()
        return _loss(term.name, -log_likelihood, kl, kl_library[:, 0], beta, self.encoder.location())

    def store(self) -> None:
        """Write what is held apart between steps back to the parameters and the optimiser."""
        self.decoder.store()
        self.adam.store()


def _log_sizes(counts: CSR) -> Tensor:
    """Log library size of each cell, (cells, 1)."""
    sizes = np.empty(counts.indptr.size - 1, np.float32)
    sum_rows(counts.indptr, counts.values, sizes)
    with np.errstate(divide="ignore"):  # a cell without counts
        return torch.from_numpy(np.log(sizes)[:, None])


def _loss(
    name: str,
    reconstruction: np.ndarray,
    kl: np.ndarray,
    kl_library: np.ndarray,
    beta: float,
    location: np.ndarray,
) -> MinibatchLoss:
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is the trainer's to report
        weighted = np.float32(beta) * kl.sum(axis=1)
        loss = (reconstruction + (weighted + kl_library)).mean(keepdims=True)
    arrays = loss, reconstruction, weighted, kl_library, kl, location
    total, r, w, kl_l, k, found = (torch.from_numpy(array) for array in arrays)
    return MinibatchLoss(total[0], r, k, kl_l, {"reconstruction": r, name: w, "library": kl_l}, found)


def _is_known(module: Any) -> bool:
    """Whether all parts are of the kinds that this step knows."""
    decoder, library, likelihood = module.decoder, module.library, module.likelihood
    return (
        _is_plain(module.encoder, module.posterior, links=(Identity, Softplus))
        and type(module.prior) is StandardNormalPrior
        and (
            type(library) is ObservedLibrary
            or (type(library) is LearnedLibrary and _is_plain(library.encoder, library.posterior))
        )
        and (
            _is_plain_mlp(decoder)
            or ((_is_linear(decoder) or _is_additive(decoder)) and likelihood.heads == ("scale",))
        )
        and type(likelihood) in (NegativeBinomialLikelihood, ZeroInflatedNegativeBinomialLikelihood)
        and type(likelihood.dispersion) is GeneDispersion
        and isinstance(likelihood.link, nn.Softmax)
        and [type(term) for term in module.objective.terms] == [BetaKL]
        and not module.frozen
        and all(p.device.type == "cpu" and p.dtype is torch.float32 for p in module.parameters())
    )


def _step_of(decoder: Any) -> type:
    if type(decoder) is MLPDecoder:
        return MLPDecoderStep
    return AdditiveDecoderStep if _is_additive(decoder) else LinearDecoderStep


def _is_plain(encoder: Any, posterior: Any, *, links: tuple[type, ...] = (Identity,)) -> bool:
    """Whether an encoder has one hidden layer on log counts alone, and a normal latent behind a link."""
    return (
        type(encoder) is MLPEncoder
        and type(encoder.transform) is Log1p
        and len(encoder.body.linears) == 1
        and not encoder.body.is_shifted()
        and type(posterior) in (NormalPosterior, NonNegativePosterior)
        and type(posterior.link) in links
    )


def _is_linear(decoder: Any) -> bool:
    """Whether a decoder is linear on the log scale, with free weights."""
    if type(decoder) is AnnotatedDecoder:
        known = len(decoder.terms) == 1
    else:
        known = type(decoder) is LinearDecoder and (
            decoder.norm is None or _n_features(decoder) <= MOST_FEATURES
        )
    return (
        known
        and type(decoder.rate) is LogLinearRate
        and not decoder.weights.non_negative
        and not decoder.heads
    )


def _is_additive(decoder: Any) -> bool:
    """Whether a decoder's non-negative loadings add up, without batch norm or further heads."""
    return (
        type(decoder) is LinearDecoder
        and type(decoder.rate) is AdditiveRate
        and decoder.weights.non_negative
        and decoder.norm is None
        and not decoder.heads
    )


def _is_plain_mlp(decoder: Any) -> bool:
    """Whether a decoder has one hidden layer without dropout."""
    return type(decoder) is MLPDecoder and len(decoder.body.linears) == 1 and decoder.body.dropout.p == 0.0


def _n_features(decoder: Any) -> int:
    table = decoder.shift.table()
    return decoder.weights.raw.shape[1] + (0 if table is None else len(table))
