"""Variational posteriors: features to a distribution, draws of the latent, and what is reported."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from distaff.nn.added import GrowingLinear
from distaff.nn.gates import AbstractGate
from distaff.nn.links import AbstractLink, Identity
from distaff.nn.points import Point
from distaff.nn.scheduled import Scheduled
from distaff.nn.spike_slab import OFF, SpikeSlab
from distaff.ops import rsample

__all__ = [
    "AbstractPosterior",
    "NonNegativePosterior",
    "NormalPosterior",
    "PointPosterior",
    "SpikeSlabPosterior",
]

FLOOR_QUANTILE = 0.05  # of the cells: what a factor has where it is off
N_DEVIATIONS = 3.0  # of the posterior above it: what cannot be told from off
HIGHEST_FLOOR = 0.9  # quantile that a floor is never above: a tenth of the cells keeps its order
NO_FLOOR = -1e4  # of a model that was not trained: no link gives less
VARIANCE_FLOOR = 1e-4  # scVI's: keeps the KL finite when a posterior collapses to a point


class AbstractPosterior(nn.Module):
    """Posterior ``q(u | x)`` and the latent ``z`` that the decoder reads."""

    n_latent: int

    @abstractmethod
    def forward(self, features: Tensor) -> Distribution:
        """Features (cells, n_in) to ``q(u | x)`` with batch shape (cells, n_latent)."""

    @abstractmethod
    def draw(self, q: Any, n_samples: tuple[int, ...] = (), *, step: int = 0) -> tuple[Tensor, Tensor]:
        """Draw ``u``, whose density ``q`` gives, and ``z``; each (*n_samples, cells, n_latent).

        ``step`` counts optimiser steps, for draws that are relaxed in training.
        """

    @abstractmethod
    def location(self, q: Any) -> Tensor:
        """Return a cheap stand-in for the representation, to watch training by; same shape."""

    @abstractmethod
    def representation(self, q: Any) -> Tensor:
        """Return what is reported for a cell, shape (cells, n_latent), without sampling."""

    def reported(self, features: Tensor) -> Tensor:
        """Features (cells, n_in) to what is reported for a cell, shape (cells, n_latent)."""
        return self.representation(self(features))

    @property
    @abstractmethod
    def unit(self) -> float | None:
        """Change of ``z`` with a unit of ``u`` at the middle of a standard normal; None without a prior."""


class NormalPosterior(AbstractPosterior):
    r"""Diagonal normal and a link, :math:`u_j \sim N(\mu_j(x), \sigma_j^2(x)), z = g(u)`.

    Parameters
    ----------
    n_in
        Number of features.
    n_latent
        Number of latent dimensions.
    link
        Map :math:`g`: identity for a normal latent, softmax for a logistic normal one, and so on.
    n_added
        Number of the dimensions, the last ones, that each query added. They start as ``N(0, 1)``.
    """

    def __init__(self, n_in: int, n_latent: int, link: AbstractLink, *, n_added: Sequence[int] = ()) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.link = link
        self.mean = GrowingLinear(n_in, n_latent, n_added)
        self.log_variance = GrowingLinear(n_in, n_latent, n_added)

    def forward(self, features: Tensor) -> Normal:
        """Features (cells, n_in) to ``q(u | x)``."""
        variance = torch.exp(self.log_variance(features)) + VARIANCE_FLOOR
        return Normal(self.mean(features), variance.sqrt(), validate_args=False)

    def draw(self, q: Normal, n_samples: tuple[int, ...] = (), *, step: int = 0) -> tuple[Tensor, Tensor]:
        """Reparametrised draw of ``u``, and ``g(u)``."""
        del step
        u = rsample(q, n_samples)
        return u, self.link(u)

    def location(self, q: Normal) -> Tensor:
        """``g`` of the mean of ``u``."""
        return self.link(q.loc)

    def representation(self, q: Normal) -> Tensor:
        """Middle of the posterior of ``z``: mean of a normal or logistic normal latent, else median."""
        return self.link.centre(q)

    def reported(self, features: Tensor) -> Tensor:
        """Middle of the posterior; of a normal latent the variance is not even computed."""
        return self.mean(features) if type(self.link) is Identity else super().reported(features)

    @property
    def unit(self) -> float:
        """That of the link."""
        return self.link.unit


class NonNegativePosterior(NormalPosterior):
    r"""Normal posterior behind a link to positive values, that reports nothing below its floor.

    A positive latent is never zero: in cells where a factor is off it has a small value that differs from
    cell to cell by noise, and with it its rank. What is reported is therefore at least the floor of the
    factor: the value that 5 % of the cells stay below, and three standard deviations of the posterior more,
    but at most what 90 % stay below.

    Parameters
    ----------
    n_in
        Number of features.
    n_latent
        Number of latent dimensions.
    link
        Map :math:`g` to positive values.
    """

    floor: Tensor

    def __init__(self, n_in: int, n_latent: int, link: AbstractLink) -> None:
        super().__init__(n_in, n_latent, link)
        self.register_buffer("floor", torch.full((n_latent,), NO_FLOOR))  # of u

    def representation(self, q: Normal) -> Tensor:
        """Median of the posterior of ``z``, but not below the floor."""
        return torch.maximum(super().representation(q), self.link(self.floor))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Models that were saved before there was a floor report as they did."""
        state_dict.setdefault(f"{prefix}floor", torch.full_like(self.floor, NO_FLOOR))
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.no_grad()
    def set_floor(
        self, mean: np.ndarray, deviation: np.ndarray, *, n_deviations: float = N_DEVIATIONS
    ) -> None:
        """Set the floor by the posteriors of ``u`` in some cells, (cells, n_latent) each."""
        lowest, highest = np.quantile(mean, [FLOOR_QUANTILE, HIGHEST_FLOOR], axis=0)
        floor = np.minimum(lowest + n_deviations * deviation.mean(axis=0), highest)
        self.floor.copy_(torch.from_numpy(floor))


class SpikeSlabPosterior(AbstractPosterior):
    r"""Spike and slab, :math:`z_j = g(u_j)` with probability :math:`\gamma_j(x)`, else 0.

    In training the gate is relaxed, and the slab may be warmed up: it is drawn from
    :math:`N(\lambda \mu, \lambda \sigma^2 + 1 - \lambda)`, so that at first the gates alone carry
    information :cite:p:`Tonolini19`. In evaluation draws are exact.

    Parameters
    ----------
    n_in
        Number of features.
    n_latent
        Number of latent dimensions.
    link
        Map :math:`g` of the slab.
    gate
        Relaxation of the gate.
    slab_weight
        :math:`\lambda` by step.
    """

    def __init__(
        self, n_in: int, n_latent: int, link: AbstractLink, gate: AbstractGate, slab_weight: Scheduled
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.slab = NormalPosterior(n_in, n_latent, link)
        self.logits = nn.Linear(n_in, n_latent)
        self.gate = gate
        self.slab_weight = slab_weight

    def forward(self, features: Tensor) -> SpikeSlab:
        """Features (cells, n_in) to ``q(u | x)``."""
        slab = self.slab(features)
        return SpikeSlab(slab.loc, slab.scale, self.logits(features))

    def draw(self, q: SpikeSlab, n_samples: tuple[int, ...] = (), *, step: int = 0) -> tuple[Tensor, Tensor]:
        """Relaxed draw in training, exact draw in evaluation."""
        link = self.slab.link
        if not self.training:
            u = q.sample(n_samples)
            return u, torch.where(u == OFF, 0.0, link(u))
        weight = self.slab_weight(step)
        slab = Normal(weight * q.loc, (weight * q.scale.square() + 1.0 - weight).sqrt(), validate_args=False)
        u = rsample(slab, n_samples)
        return u, self.gate(q.logits.expand_as(u), step) * link(u)

    def location(self, q: SpikeSlab) -> Tensor:
        """Inclusion probability times ``g`` of the slab's mean."""
        return q.inclusion * self.slab.link(q.loc)

    def representation(self, q: SpikeSlab) -> Tensor:
        r"""Inclusion probability times the middle of the slab; :math:`\gamma \mu` for a normal one."""
        return q.inclusion * self.slab.link.centre(q.slab)

    @property
    def unit(self) -> float:
        """That of the slab's link."""
        return self.slab.link.unit


class PointPosterior(AbstractPosterior):
    """One code a cell, nothing random: what makes an autoencoder of a variational one.

    Parameters
    ----------
    n_in
        Number of features.
    n_latent
        Number of latent dimensions.
    n_added
        Number of the dimensions, the last ones, that each query added. They start at 0.
    """

    def __init__(self, n_in: int, n_latent: int, *, n_added: Sequence[int] = ()) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.code = GrowingLinear(n_in, n_latent, n_added)

    def forward(self, features: Tensor) -> Point:
        """Features (cells, n_in) to the code."""
        return Point(self.code(features))

    def draw(self, q: Point, n_samples: tuple[int, ...] = (), *, step: int = 0) -> tuple[Tensor, Tensor]:
        """Return the code itself, repeated."""
        del step
        z = q.loc.expand(*n_samples, *q.loc.shape)
        return z, z

    def location(self, q: Point) -> Tensor:
        """Return the code."""
        return q.loc

    def representation(self, q: Point) -> Tensor:
        """Return the code."""
        return q.loc

    @property
    def unit(self) -> None:
        """None: a code may have any scale."""
        return None
