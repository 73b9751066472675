r"""Links: how a normal variable :math:`u` becomes the latent :math:`z = g(u)`.

The KL is that of :math:`u`; where :math:`g` is one to one it is also that of :math:`z`.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["AbstractLink", "Exponential", "ExponentialQuantile", "Identity", "Simplex", "Softplus"]

N_DRAWS = 512  # pairs of antithetic draws for the mean on the simplex
SIMPLEX_SEED = 0
LARGEST_EXPONENT = 20.0  # a factor of half a billion is no expression any more, and float32 ends at 88


class AbstractLink(nn.Module):
    """Map ``z = g(u)`` and the middle of ``z`` under a normal."""

    @abstractmethod
    def forward(self, u: Tensor) -> Tensor:
        """``g(u)``, shape (..., n_latent)."""

    def centre(self, q: Distribution) -> Tensor:
        """``g`` of the mean of ``u ~ q``, shape (cells, n_latent): the median of ``z`` by dimension."""
        return self(q.mean)

    @property
    def unit(self) -> float:
        """Change of ``z`` with a unit of ``u``, from -1/2 to 1/2."""
        return float(self(torch.tensor([0.5])) - self(torch.tensor([-0.5])))


class Identity(AbstractLink):
    """``z = u``: a normal latent."""

    def forward(self, u: Tensor) -> Tensor:
        """Return ``u``."""
        return u


class Softplus(AbstractLink):
    """``z = log(1 + exp(u))``: positive, with a thin upper tail."""

    def forward(self, u: Tensor) -> Tensor:
        """Softplus of ``u``."""
        return nn.functional.softplus(u)


class Exponential(AbstractLink):
    """``z = exp(u)``: a log-normal latent."""

    def forward(self, u: Tensor) -> Tensor:
        """``exp(u)``, where that is a float32."""
        return u.clamp(max=LARGEST_EXPONENT).exp()


class ExponentialQuantile(AbstractLink):
    r"""``z = -log(1 - Phi(u))``: a standard normal :math:`u` gives a standard exponential :math:`z`."""

    def forward(self, u: Tensor) -> Tensor:
        """Exponential quantile of the normal probability of ``u``."""
        return -torch.special.log_ndtr(-u)


class Simplex(AbstractLink):
    """``z = softmax(u)``: a logistic-normal latent; cells are mixtures of factors :cite:p:`Svensson20`."""

    def forward(self, u: Tensor) -> Tensor:
        """Softmax over the last dimension."""
        return torch.softmax(u, dim=-1)

    @property
    def unit(self) -> float:
        """1, in units of one over the number of dimensions."""
        return 1.0

    def centre(self, q: Distribution) -> Tensor:
        """Monte Carlo mean of ``z`` over the same antithetic draws at every call; rows sum to 1."""
        generator = torch.Generator().manual_seed(SIMPLEX_SEED)
        noise = torch.randn(N_DRAWS, q.mean.shape[-1], generator=generator).to(q.mean)
        total = torch.zeros_like(q.mean)
        for epsilon in torch.cat([noise, -noise]):
            total += torch.softmax(q.mean + epsilon * q.stddev, dim=-1)
        return total / total.sum(-1, keepdim=True)
