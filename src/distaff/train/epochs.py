"""How many epochs to train for when the user does not say."""

from __future__ import annotations

from math import ceil

from distaff._checks import check_int, error
from distaff._compat import get_max_epochs_heuristic
from distaff.train.phases import LearningRatePhases

__all__ = ["MOST_EPOCHS", "SVENSSON_RULE", "number_of_epochs"]

SVENSSON_RULE = "1e6/N"


MOST_EPOCHS = 400  # scvi-tools' for up to 20,000 cells


def number_of_epochs(
    max_epochs: int | str | None,
    n_cells: int,
    phases: LearningRatePhases | None,
    *,
    most: int = MOST_EPOCHS,
) -> int:
    """Epochs of a run: as asked, by rule, those of the learning-rate phases, or scvi-tools' heuristic.

    The heuristic gives ``most`` epochs up to 20,000 cells, and fewer above.

    Examples
    --------
    >>> number_of_epochs("1e6/N", 125_775, None), number_of_epochs(None, 40_000, None)
    (8, 200)
    """
    if isinstance(max_epochs, str):
        if max_epochs != SVENSSON_RULE:
            raise error(f"max_epochs must be a number, None or {SVENSSON_RULE!r}", got=repr(max_epochs))
        return max(1, ceil(1e6 / n_cells))
    if max_epochs is None:
        return get_max_epochs_heuristic(n_cells, epochs_cap=most) if phases is None else phases.n_epochs
    max_epochs = check_int("max_epochs", max_epochs, minimum=1)
    if phases is not None and max_epochs != phases.n_epochs:
        raise error(
            f"max_epochs must be the {phases.n_epochs} epochs of lr_schedule",
            got=max_epochs,
            fix="Leave max_epochs out, or change the phases.",
        )
    return max_epochs
