"""Schedules: pure functions of the number of realised optimiser steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from distaff._checks import check_int, check_number

__all__ = ["Constant", "Linear", "Schedule"]


class Schedule(Protocol):
    """A value that depends on nothing but the number of optimiser steps taken so far.

    ``n_steps`` is the number of steps after which the value no longer changes; None while the length
    of the run that decides it is not known.
    """

    @property
    def n_steps(self) -> int | None:
        """Length of the schedule in optimiser steps."""
        ...

    def __call__(self, step: int) -> float:
        """Value at ``step``."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same value at every step.

    Parameters
    ----------
    value
        The value.

    Examples
    --------
    >>> Constant(2.0)(10)
    2.0
    """

    value: float

    def __post_init__(self) -> None:
        check_number("value", self.value)

    @property
    def n_steps(self) -> int:
        """0: nothing changes."""
        return 0

    def __call__(self, step: int) -> float:
        """Value at ``step``."""
        del step
        return float(self.value)


@dataclass(frozen=True)
class Linear:
    r"""Straight line from ``start`` to ``end`` over ``n_steps`` steps, then ``end``.

    .. math:: v(t) = v_0 + (v_1 - v_0) \min(t / T, 1)

    Parameters
    ----------
    start
        Value :math:`v_0` at step 0.
    end
        Value :math:`v_1` from step :math:`T` on.
    n_steps
        Number of optimiser steps :math:`T`. None leaves it open until the length of the run is known;
        until then the value is ``end``, that of a finished schedule.

    Examples
    --------
    >>> capacity = Linear(0.1, 10.0, n_steps=20_000)
    >>> [round(capacity(t), 3) for t in (0, 5_000, 20_000, 30_000)]
    [0.1, 2.575, 10.0, 10.0]
    """

    start: float
    end: float
    n_steps: int | None = None

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        if self.n_steps is not None:
            check_int("n_steps", self.n_steps, minimum=1)

    def __call__(self, step: int) -> float:
        """Value at ``step``."""
        if self.n_steps is None or step >= self.n_steps:
            return float(self.end)
        return self.start + (self.end - self.start) * (step / self.n_steps)
