"""The last, linear step of a decoder, as the parts that its logits are made of."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["AbstractRate", "AdditiveRate", "LogLinearRate", "Readout"]

RATE_FLOOR = 1e-3  # expression of a gene in no active factor, on the scale of log1p expression


class AbstractRate(nn.Module):
    """How the sum over factors becomes the logits of expression; ``floor`` is None where it is them."""

    floor: float | None

    @abstractmethod
    def forward(self, activity: Tensor) -> Tensor:
        """Sum over factors (..., cells, genes) to logits of the same shape."""


class LogLinearRate(AbstractRate):
    """``logits = z W'``: factors act on the log scale :cite:p:`Svensson20`."""

    floor = None

    def forward(self, activity: Tensor) -> Tensor:
        """Return the sum over factors itself."""
        return activity


class AdditiveRate(AbstractRate):
    r"""``logits = log(expm1(z W') + floor)``: non-negative factors add up to log1p expression."""

    floor = RATE_FLOOR

    def forward(self, activity: Tensor) -> Tensor:
        """Logits whose exponential is ``expm1`` of the sum over factors, never below the floor."""
        # log(expm1(a) + f) without the exponential of a large a
        return activity + torch.log1p(-(1.0 - RATE_FLOOR) * torch.exp(-activity))


@dataclass(frozen=True)
class Readout:
    r"""Logits of all genes, :math:`h = \text{norm}(\text{rate}(f W^\top + b) + d T)`.

    A likelihood with a kernel of its own reads them block by block: no (cells, genes) matrix is made.

    Parameters
    ----------
    features
        Features f, shape (..., cells, features).
    weight
        Weights W, shape (genes, features).
    bias
        Bias b, shape (genes,); None for zero.
    rate
        How the weighted sum becomes logits.
    offset
        What shifts the logits behind the rate: d (cells, columns) and T (columns, genes); None for nothing.
    norm
        Normalisation over cells that does not fold into the weights; None for none.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor | None = None
    rate: AbstractRate | None = None
    offset: tuple[Tensor, Tensor] | None = None
    norm: nn.Module | None = None

    @property
    def floor(self) -> float | None:
        """Floor of an additive rate; None where the weighted sum is the logits."""
        return None if self.rate is None else self.rate.floor

    def dense(self) -> Tensor:
        """Logits (..., cells, genes)."""
        logits = nn.functional.linear(self.features, self.weight, self.bias)
        if self.rate is not None:
            logits = self.rate(logits)
        if self.offset is not None:
            design, table = self.offset
            logits = logits + design @ table
        return logits if self.norm is None else self.norm(logits)
