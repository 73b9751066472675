"""The loss: reconstruction, KL of the library size, and a sum of named terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from distaff.objectives.terms import AbstractTerm, LossInputs

__all__ = ["Objective", "ObjectiveOutput"]

OPEN = -1  # in the saved state: a schedule whose length is not settled yet
FIRST_PART, LAST_PART = "reconstruction", "library"  # of the loss, around its terms


@dataclass(frozen=True)
class ObjectiveOutput:
    """A loss and its parts.

    Parameters
    ----------
    loss
        Scalar that is optimised, nats a cell.
    parts
        Contribution of each term, shape (cells,) or a scalar; their means add up to ``loss``.
    """

    loss: Tensor
    parts: dict[str, Tensor]


class Objective(nn.Module):
    r"""Weighted sum of terms, :math:`\frac1B \sum_i (-\log p(x_i|z_i) + KL_{\ell,i} + \sum_k T_{k,i})`.

    Terms that are one number a minibatch are added to the mean over cells. The number of optimiser
    steps taken so far, and the settled length of every schedule, are part of the saved state: training
    that goes on after a load goes on where it was.

    Parameters
    ----------
    terms
        Penalties beside the reconstruction, each with a name of its own.
    """

    def __init__(self, terms: Sequence[AbstractTerm]) -> None:
        super().__init__()
        self.terms = list(terms)
        self.step = 0
        self.n_cells: int | None = None  # of the training set, for terms that ask; set by the training

    def forward(self, inputs: LossInputs) -> ObjectiveOutput:
        """Loss of a minibatch at the present step."""
        values = self.schedule_values()
        penalties = {term.name: term(inputs, values[term.name]) for term in self.terms}
        per_cell = [penalty for penalty in penalties.values() if penalty.ndim]
        per_batch = [penalty for penalty in penalties.values() if not penalty.ndim]
        # the order of the sum is scVI's, so that beta = 1 gives its loss to the last bit
        loss = torch.mean(inputs.reconstruction + (sum(per_cell) + inputs.kl_library))
        for penalty in per_batch:
            loss = loss + penalty
        parts = {FIRST_PART: inputs.reconstruction, **penalties, LAST_PART: inputs.kl_library}
        return ObjectiveOutput(loss, {name: part.detach() for name, part in parts.items()})

    @property
    def part_names(self) -> list[str]:
        """Names of the parts of the loss."""
        return [FIRST_PART, *(term.name for term in self.terms), LAST_PART]

    def schedule_values(self) -> dict[str, float]:
        """Present value of each term's schedule (beta, capacity)."""
        return {term.name: term.schedule(self.step) for term in self.terms}

    def advance(self) -> None:
        """Count one realised optimiser step."""
        self.step += 1

    def settle(self, name: str, n_steps: int) -> None:
        """Fix the length of the schedule of term ``name``."""
        index = [term.name for term in self.terms].index(name)
        term: Any = self.terms[index]  # every term is a dataclass with a dataclass schedule
        self.terms[index] = replace(term, schedule=replace(term.schedule, n_steps=n_steps))

    def get_extra_state(self) -> Tensor:
        """Step counter and schedule lengths, for ``state_dict``."""
        lengths = [OPEN if term.schedule.n_steps is None else term.schedule.n_steps for term in self.terms]
        return torch.tensor([self.step, *lengths], dtype=torch.int64)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` returned."""
        self.step, *lengths = (int(value) for value in state)
        for term, n_steps in zip(list(self.terms), lengths, strict=True):
            if n_steps not in (OPEN, term.schedule.n_steps):
                self.settle(term.name, n_steps)

    def extra_repr(self) -> str:
        """Terms and step, for ``print(module)``."""
        return "\n".join([f"step={self.step}", *(repr(term) for term in self.terms)])
