"""Contract of priors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from distaff._checks import error
from distaff.extend._checks import CELLS, check_module, check_tensor, draw
from distaff.nn.priors import AbstractPrior
from distaff.ops import kl_divergence

__all__ = ["check_prior"]

FEATURES = 8  # of an encoder


def check_prior(build: Callable[[int], AbstractPrior]) -> None:
    """Check a prior: densities, KL, gradients, saved state.

    Parameters
    ----------
    build
        Called with the number of latent dimensions, as in :func:`distaff.extend.register_prior`.

    Raises
    ------
    AssertionError
        If the prior breaks a rule; the message says which.

    Examples
    --------
    >>> from distaff.nn import StandardNormalPrior
    >>> check_prior(StandardNormalPrior)
    """
    for n_latent in (1, 3):
        prior = build(n_latent)
        if not isinstance(prior, AbstractPrior):
            rule = "build must return an AbstractPrior of distaff.nn.priors"
            raise error(rule, got=type(prior).__name__, kind=AssertionError)
        _check_density(prior, n_latent)
        check_module(prior, partial(_total_kl, n_latent=n_latent))


def _posterior(n_latent: int) -> Normal:
    location = draw(CELLS, n_latent).requires_grad_()
    scale = draw(CELLS, n_latent, seed=1).exp().requires_grad_()
    return Normal(location, scale)


def _of(prior: nn.Module, n_latent: int) -> Distribution:
    def encode(x: Tensor) -> Normal:
        weight = draw(x.shape[-1], n_latent, seed=4)
        return Normal(x @ weight, torch.ones(len(x), n_latent))

    return prior(draw(CELLS, FEATURES, seed=2), encode)


def _total_kl(prior: nn.Module, n_latent: int) -> Tensor:
    return _kl(prior, n_latent).sum()


def _kl(prior: nn.Module, n_latent: int) -> Tensor:
    q = _posterior(n_latent)
    sample = q.loc + q.scale * draw(CELLS, n_latent, seed=3)
    kl = kl_divergence(q, _of(prior, n_latent), sample)
    check_tensor("The KL", kl, (CELLS, n_latent), (CELLS, 1))
    return kl + prior.cost(_of(prior, n_latent))  # type: ignore[operator]


def _check_density(prior: AbstractPrior, n_latent: int) -> None:
    u = draw(CELLS, n_latent)
    shapes = {(CELLS, n_latent), (CELLS, 1)}
    check_tensor("The log density", _of(prior, n_latent).log_prob(u), *shapes)
    q = _posterior(n_latent)
    sample = q.loc + q.scale * draw(CELLS, n_latent, seed=3)
    kl_divergence(q, _of(prior, n_latent), sample).sum().backward()
    for name, tensor in (("mean", q.loc), ("scale", q.scale)):
        if tensor.grad is None:
            rule = f"The KL must depend on the posterior's {name}"
            raise error(rule, got="no gradient", kind=AssertionError)
        check_tensor(f"The gradient of the KL by the posterior's {name}", tensor.grad, (CELLS, n_latent))
