"""Distributions without spread: a model made of them is deterministic."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl

__all__ = ["Flat", "Point"]


class Point(Distribution):
    """All mass at ``loc``.

    Parameters
    ----------
    loc
        The point, shape (cells, n_latent).
    """

    arg_constraints = {}  # noqa: RUF012 - torch's convention

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The point."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Zeros."""
        return torch.zeros_like(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return zero: the log mass of the point."""
        return torch.zeros_like(value)


class Flat(Distribution):
    """No preference for any value: the prior of a deterministic code."""

    arg_constraints = {}  # noqa: RUF012 - torch's convention

    def __init__(self) -> None:
        super().__init__(torch.Size([]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return zero everywhere."""
        return torch.zeros_like(value)


@register_kl(Point, Flat)
def _kl_point(q: Point, p: Flat) -> Tensor:
    """Return zero: a deterministic code has no rate to pay for."""
    del p
    return torch.zeros_like(q.loc)
