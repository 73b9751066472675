"""Priors of the latent."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

__all__ = ["AbstractPrior", "StandardNormalPrior"]


class AbstractPrior(nn.Module):
    """Prior ``p(u)``; ELBO, marginal likelihood and sampling ask this one object."""

    @abstractmethod
    def forward(self) -> Distribution:
        """``p(u)`` with batch shape (n_latent,)."""


class StandardNormalPrior(AbstractPrior):
    """``N(0, 1)`` in each dimension.

    Parameters
    ----------
    n_latent
        Number of latent dimensions.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(n_latent), persistent=False)
        self.register_buffer("scale", torch.ones(n_latent), persistent=False)

    def forward(self) -> Normal:
        """``p(z)`` with batch shape (n_latent,)."""
        return Normal(self.loc, self.scale, validate_args=False)
