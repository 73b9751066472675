r"""Links: how a normal variable :math:`u` becomes the latent :math:`z = g(u)`.

The KL is that of :math:`u`; where :math:`g` is one to one it is also that of :math:`z`.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["AbstractLink", "Exponential", "ExponentialQuantile", "Identity", "Simplex", "Softplus"]

N_NODES = 32  # Gauss-Hermite nodes: E[softplus(u)] is exact to 1e-7 for standard deviations up to 2
N_DRAWS = 512  # pairs of antithetic draws for the mean on the simplex
SIMPLEX_SEED = 0
LARGEST_EXPONENT = 20.0  # a factor of half a billion is no expression any more, and float32 ends at 88


class AbstractLink(nn.Module):
    """Map ``z = g(u)`` and its mean under a normal."""

    @abstractmethod
    def forward(self, u: Tensor) -> Tensor:
        """``g(u)``, shape (..., n_latent)."""

    @abstractmethod
    def mean(self, q: Distribution) -> Tensor:
        """``E[g(u)]`` for ``u ~ q`` with batch shape (cells, n_latent); deterministic."""


class Identity(AbstractLink):
    """``z = u``: a normal latent."""

    def forward(self, u: Tensor) -> Tensor:
        """Return ``u``."""
        return u

    def mean(self, q: Distribution) -> Tensor:
        """Mean of ``q``."""
        return q.mean


class Softplus(AbstractLink):
    """``z = log(1 + exp(u))``: positive, with a thin upper tail."""

    def forward(self, u: Tensor) -> Tensor:
        """Softplus of ``u``."""
        return nn.functional.softplus(u)

    def mean(self, q: Distribution) -> Tensor:
        """Mean by Gauss-Hermite quadrature."""
        return _quadrature(self, q)


class Exponential(AbstractLink):
    """``z = exp(u)``: a log-normal latent."""

    def forward(self, u: Tensor) -> Tensor:
        """``exp(u)``, where that is a float32."""
        return u.clamp(max=LARGEST_EXPONENT).exp()

    def mean(self, q: Distribution) -> Tensor:
        """``exp(mu + sigma^2 / 2)``."""
        return self(q.mean + 0.5 * q.variance)


class ExponentialQuantile(AbstractLink):
    r"""``z = -log(1 - Phi(u))``: a standard normal :math:`u` gives a standard exponential :math:`z`."""

    def forward(self, u: Tensor) -> Tensor:
        """Exponential quantile of the normal probability of ``u``."""
        return -torch.special.log_ndtr(-u)

    def mean(self, q: Distribution) -> Tensor:
        """Mean by Gauss-Hermite quadrature."""
        return _quadrature(self, q)


class Simplex(AbstractLink):
    """``z = softmax(u)``: a logistic-normal latent; cells are mixtures of factors :cite:p:`Svensson20`."""

    def forward(self, u: Tensor) -> Tensor:
        """Softmax over the last dimension."""
        return torch.softmax(u, dim=-1)

    def mean(self, q: Distribution) -> Tensor:
        """Monte Carlo mean over the same antithetic draws at every call; rows sum to 1."""
        generator = torch.Generator().manual_seed(SIMPLEX_SEED)
        noise = torch.randn(N_DRAWS, q.mean.shape[-1], generator=generator).to(q.mean)
        total = torch.zeros_like(q.mean)
        for epsilon in torch.cat([noise, -noise]):
            total += torch.softmax(q.mean + epsilon * q.stddev, dim=-1)
        return total / total.sum(-1, keepdim=True)


def _quadrature(link: AbstractLink, q: Distribution) -> Tensor:
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    weights = weights / weights.sum()
    terms = (float(w) * link(q.mean + float(x) * q.stddev) for x, w in zip(nodes, weights, strict=True))
    return torch.stack(list(terms)).sum(0)
