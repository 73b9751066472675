"""Learning-rate phases, such as 400 epochs at 1e-4 and then 200 at 1e-5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distaff._checks import check_int, check_number, error

__all__ = ["LearningRatePhases"]


@dataclass(frozen=True)
class LearningRatePhases:
    """Learning rate as a step function of the epoch.

    Parameters
    ----------
    phases
        Pairs of (number of epochs, learning rate), in order.

    Examples
    --------
    >>> phases = LearningRatePhases(((400, 1e-4), (200, 1e-5)))
    >>> phases.n_epochs, phases(399), phases(400), phases(1000)
    (600, 0.0001, 1e-05, 1e-05)
    """

    phases: Sequence[tuple[int, float]]

    def __post_init__(self) -> None:
        fix = "Give pairs of (epochs, learning rate), such as ((400, 1e-4), (200, 1e-5))."
        if isinstance(self.phases, str) or not isinstance(self.phases, Sequence) or not self.phases:
            raise error("lr_schedule must be a sequence of pairs", got=repr(self.phases), fix=fix)
        for phase in self.phases:
            if not isinstance(phase, Sequence) or len(phase) != 2:
                raise error("lr_schedule must be a sequence of pairs", got=repr(phase), fix=fix)
            check_int("Number of epochs in lr_schedule", phase[0], minimum=1)
            check_number("Learning rate in lr_schedule", phase[1], above=0)

    @property
    def n_epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(n for n, _ in self.phases)

    def plain(self) -> list[list[float]]:
        """Pairs as lists of numbers."""
        return [[n, lr] for n, lr in self.phases]

    def __call__(self, epoch: int) -> float:
        """Learning rate of ``epoch``, counted from 0; the last one for ever after."""
        for n, lr in self.phases:
            if epoch < n:
                return lr
            epoch -= n
        return self.phases[-1][1]
