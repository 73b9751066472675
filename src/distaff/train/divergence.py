"""The error for training that left the finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["DivergenceError", "Place"]


@dataclass(frozen=True)
class Place:
    """Where a number was first not finite.

    Parameters
    ----------
    step
        Optimiser step, counted from 1 over all runs of the model.
    epoch
        Epoch of the run, counted from 0 as in the history.
    minibatch
        Minibatch of the epoch, counted from 1.
    terms
        Terms of the loss that are not finite; none where all are.
    part
        First part of the module with a value, or else a gradient, that is not finite, or the weight.
    cells
        Names of the cells with such a term, or else of the minibatch.
    """

    step: int
    epoch: int
    minibatch: int | None = None
    terms: Sequence[str] = ()
    part: str | None = None
    cells: Sequence[str] = field(default=(), repr=False)


class DivergenceError(RuntimeError):
    """Training left the finite numbers, or grew a loss of absurd size.

    Parameters
    ----------
    message
        What happened.
    place
        Where it did; None where that is not known.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place
