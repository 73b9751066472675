"""Variational posteriors: features to a distribution, its transform to the latent, its mean."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

__all__ = ["AbstractPosterior", "NormalPosterior"]

VARIANCE_FLOOR = 1e-4  # scVI's: keeps the KL finite when a posterior collapses to a point


class AbstractPosterior(nn.Module):
    """Posterior ``q(u | x)`` and the map ``z = g(u)`` that the decoder reads."""

    n_latent: int

    @abstractmethod
    def forward(self, features: Tensor) -> Distribution:
        """Features (cells, n_in) to ``q(u | x)`` with batch shape (cells, n_latent)."""

    @abstractmethod
    def transform(self, u: Tensor) -> Tensor:
        """``z = g(u)``, same shape."""

    @abstractmethod
    def representation(self, q: Distribution) -> Tensor:
        """Return what is reported for a cell, shape (cells, n_latent), without sampling."""


class NormalPosterior(AbstractPosterior):
    r"""Diagonal normal, :math:`q(z|x) = \prod_j N(\mu_j(x), \sigma_j^2(x))`.

    Parameters
    ----------
    n_in
        Number of features.
    n_latent
        Number of latent dimensions.
    """

    def __init__(self, n_in: int, n_latent: int) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.mean = nn.Linear(n_in, n_latent)
        self.log_variance = nn.Linear(n_in, n_latent)

    def forward(self, features: Tensor) -> Normal:
        """Features (cells, n_in) to ``q(z | x)``."""
        variance = torch.exp(self.log_variance(features)) + VARIANCE_FLOOR
        return Normal(self.mean(features), variance.sqrt(), validate_args=False)

    def transform(self, u: Tensor) -> Tensor:
        """Return ``u``: the latent is the normal itself."""
        return u

    def representation(self, q: Distribution) -> Tensor:
        """Posterior mean."""
        return q.mean
