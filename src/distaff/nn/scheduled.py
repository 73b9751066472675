"""A value that changes during training and remembers, when saved, over how many steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from distaff.ops.schedules import Schedule

__all__ = ["Scheduled"]

OPEN = -1  # in the saved state: the length is not settled yet


class Scheduled(nn.Module):
    """A schedule as part of a model's state.

    Parameters
    ----------
    schedule
        Value by optimiser step.
    share
        Share of the first run over which it goes, where the schedule leaves its length open.
    """

    def __init__(self, schedule: Schedule, share: float = 0.5) -> None:
        super().__init__()
        self.schedule: Any = schedule
        self.share = share

    def forward(self, step: int) -> float:
        """Value at ``step``."""
        return self.schedule(step)

    def settle(self, n_run: int) -> None:
        """Fix an open length, given the number of steps of the run."""
        if self.schedule.n_steps is None:
            self.schedule = replace(self.schedule, n_steps=max(1, int(self.share * n_run)))

    def get_extra_state(self) -> Tensor:
        """Length of the schedule, for ``state_dict``."""
        n_steps = self.schedule.n_steps
        return torch.tensor([OPEN if n_steps is None else n_steps], dtype=torch.int64)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` returned."""
        n_steps = int(state[0])
        if n_steps not in (OPEN, self.schedule.n_steps):
            self.schedule = replace(self.schedule, n_steps=n_steps)

    def extra_repr(self) -> str:
        """Show the schedule, for ``print(module)``."""
        return repr(self.schedule)
