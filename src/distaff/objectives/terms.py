"""Terms of a loss; a new regulariser is one class here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Distribution

from distaff.ops.schedules import Schedule

__all__ = ["AbstractTerm", "BetaKL", "Capacity", "LatentNorm", "LossInputs"]


@dataclass(frozen=True)
class LossInputs:
    """What a term may look at, for one minibatch.

    Parameters
    ----------
    reconstruction
        ``-log p(x | z)``, shape (cells,), nats.
    kl
        KL of the latent by dimension, shape (cells, dimensions), nats.
    kl_library
        KL of the library size, shape (cells,), nats; zeros where it is observed.
    kl_weight
        Further factor of the KL, 1 unless scvi-tools' own training plan warms it up.
    qz
        Posterior ``q(u | x)``, batch shape (cells, dimensions).
    u
        Draw from ``qz``, shape (cells, dimensions).
    z
        Latent that the decoder reads, shape (cells, dimensions).
    n_cells
        Size of the training set; None while it is not known.
    prior_cost
        What a learned prior itself costs, a scalar, nats a cell; 0 for a fixed one.
    """

    reconstruction: Tensor
    kl: Tensor
    kl_library: Tensor
    kl_weight: Tensor | float = 1.0
    qz: Distribution | None = None
    u: Tensor | None = None
    z: Tensor | None = None
    n_cells: int | None = None
    prior_cost: Tensor | float = 0.0


class AbstractTerm(ABC):
    """A penalty with one schedule.

    ``name`` is the key of its curve in the history; ``schedule`` gives the value that changes during
    training and the number of steps after which it no longer does.
    """

    name: str
    schedule: Schedule

    @abstractmethod
    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        """Penalty at the schedule's present ``value``: scalar, or one value a cell, shape (cells,)."""

    def supports(self, q: Distribution) -> bool:
        """Whether the term is defined for posteriors like ``q``; to be asked when a model is built."""
        del q
        return True


@dataclass(frozen=True)
class BetaKL(AbstractTerm):
    r"""KL divergence, and what a learned prior itself costs, times :math:`\beta` :cite:p:`Higgins17`.

    Parameters
    ----------
    schedule
        :math:`\beta` at each step.
    name
        Key of its curve in the history.
    """

    schedule: Schedule
    name: str = "kl"

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        r"""Return :math:`\beta (KL_i + \text{cost})`, shape (cells,)."""
        # one factor, so that a weight of 1 is exactly scVI's expression
        weight = inputs.kl_weight if value == 1.0 else inputs.kl_weight * value
        return weight * (inputs.kl.sum(dim=-1) + inputs.prior_cost)


@dataclass(frozen=True)
class Capacity(AbstractTerm):
    r"""Distance of the KL from a rising capacity, :math:`\beta |KL - C(t)|` :cite:p:`Burgess18`.

    Any further warm-up of the KL is ignored: the capacity is the warm-up. What a learned prior itself costs
    is added with the same weight; no capacity is spent on it.

    Parameters
    ----------
    beta
        Weight :math:`\beta`.
    schedule
        Capacity :math:`C(t)` in nats.
    penalty
        Distance of the KL (cells,) from the capacity: over the minibatch or a cell.
    name
        Key of its curve in the history.
    """

    beta: float
    schedule: Schedule
    penalty: Callable[[Tensor, float], Tensor]
    name: str = "capacity"

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        r"""Return :math:`\beta (|KL - C| + \text{cost})`, scalar or shape (cells,)."""
        return self.beta * (self.penalty(inputs.kl.sum(dim=-1), value) + inputs.prior_cost)


@dataclass(frozen=True)
class LatentNorm(AbstractTerm):
    r"""Squared length of the code, :math:`\lambda_0 \|z\|^2`, bounds a deterministic one :cite:p:`Rybakov20`.

    Parameters
    ----------
    schedule
        :math:`\lambda_0` at each step.
    name
        Key of its curve in the history.
    """

    schedule: Schedule
    name: str = "latent_norm"

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        r"""Return :math:`\lambda_0 \|z_i\|^2`, shape (cells,)."""
        if inputs.z is None:
            raise ValueError("This term needs the latent of the minibatch.")
        return value * inputs.z.square().sum(dim=-1)
