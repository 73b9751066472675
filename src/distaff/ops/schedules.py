"""Schedules: pure functions of the number of realised optimiser steps."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from distaff._checks import check_int, check_number

__all__ = ["Constant", "Cosine", "Cyclical", "Linear", "Schedule", "Sigmoid"]


SIGMOID_STEEPNESS = 12.0  # the curve is within 0.25 % of its ends at both of them


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
class _Rise:
    """From ``start`` to ``end`` over ``n_steps``; the subclass says along which curve."""

    start: float
    end: float
    n_steps: int | None = None

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        if self.n_steps is not None:
            check_int("n_steps", self.n_steps, minimum=1)

    @abstractmethod
    def share(self, progress: float) -> float:
        """Share of the way at ``progress`` in [0, 1)."""

    def __call__(self, step: int) -> float:
        """Value at ``step``."""
        if self.n_steps is None or step >= self.n_steps:
            return float(self.end)
        return self.start + (self.end - self.start) * self.share(step / self.n_steps)


@dataclass(frozen=True)
class Linear(_Rise):
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

    def share(self, progress: float) -> float:
        """Return ``progress`` itself."""
        return progress


@dataclass(frozen=True)
class Cosine(_Rise):
    r"""Half a cosine from ``start`` to ``end``: slow at both ends.

    .. math:: v(t) = v_0 + (v_1 - v_0) (1 - \cos(\pi t / T)) / 2

    Parameters
    ----------
    start
        Value :math:`v_0` at step 0.
    end
        Value :math:`v_1` from step :math:`T` on.
    n_steps
        Number of optimiser steps :math:`T`; None leaves it open.

    Examples
    --------
    >>> [round(Cosine(0.0, 1.0, n_steps=100)(t), 3) for t in (0, 25, 50, 100)]
    [0.0, 0.146, 0.5, 1.0]
    """

    def share(self, progress: float) -> float:
        """Half a cosine."""
        return 0.5 * (1.0 - math.cos(math.pi * progress))


@dataclass(frozen=True)
class Sigmoid(_Rise):
    r"""Logistic curve from ``start`` to ``end``, scaled to meet both exactly.

    .. math:: v(t) = v_0 + (v_1 - v_0) \frac{s(k (t/T - 1/2)) - s(-k/2)}{s(k/2) - s(-k/2)}, \quad k = 12

    Parameters
    ----------
    start
        Value :math:`v_0` at step 0.
    end
        Value :math:`v_1` from step :math:`T` on.
    n_steps
        Number of optimiser steps :math:`T`; None leaves it open.

    Examples
    --------
    >>> [round(Sigmoid(0.0, 1.0, n_steps=100)(t), 3) for t in (0, 25, 50, 100)]
    [0.0, 0.045, 0.5, 1.0]
    """

    def share(self, progress: float) -> float:
        """Return the logistic curve between its values at the two ends."""
        low, here = _logistic(-SIGMOID_STEEPNESS / 2), _logistic(SIGMOID_STEEPNESS * (progress - 0.5))
        return (here - low) / (1.0 - 2.0 * low)


@dataclass(frozen=True)
class Cyclical(_Rise):
    r"""``n_cycles`` times from ``start`` to ``end`` and back at once; ``end`` after the last :cite:p:`Fu19`.

    Each cycle rises in a straight line over its first half and stays at ``end`` for its second.

    Parameters
    ----------
    start
        Value at the beginning of each cycle.
    end
        Value in the second half of each cycle.
    n_steps
        Number of optimiser steps of all cycles together; None leaves it open.
    n_cycles
        Number of cycles.

    Examples
    --------
    >>> [Cyclical(0.0, 1.0, n_steps=80, n_cycles=4)(t) for t in (0, 5, 10, 19, 20, 80)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 1.0]
    """

    n_cycles: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("n_cycles", self.n_cycles, minimum=1)

    def share(self, progress: float) -> float:
        """Rise over the first half of a cycle."""
        return min(1.0, 2.0 * math.fmod(progress * self.n_cycles, 1.0))


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
