"""Which cells train, validate and test."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from distaff._checks import check_flag, check_int, check_number, error

__all__ = ["Split", "split_cells"]

SMALLEST_TAIL = 3  # batch norm needs two cells, and their statistics mean little below three


@dataclass(frozen=True)
class Split:
    """Indices of the cells of each set, and how the training set falls into minibatches.

    Parameters
    ----------
    train, validation, test
        Indices, shape (cells,) each.
    batch_size
        Cells a minibatch, in all processes together.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    batch_size: int

    @property
    def drop_last(self) -> bool:
        """Whether the last minibatch is too small to be normalised over, and left out of its epoch."""
        n_full, tail = divmod(len(self.train), self.batch_size)
        return n_full > 0 and 0 < tail < SMALLEST_TAIL

    @property
    def steps_per_epoch(self) -> int:
        """Number of minibatches an epoch."""
        n = len(self.train) / self.batch_size
        return floor(n) if self.drop_last else ceil(n)


def split_cells(
    n_cells: int,
    *,
    batch_size: int,
    train_size: float | None,
    validation_size: float | None,
    shuffle: bool,
    seed: int,
) -> Split:
    """Split cells as scvi-tools does: validation first, then training, the rest is the test set.

    Raises
    ------
    ValueError
        If a size is no share, the shares exceed 1, or fewer than two cells are left for training.
    """
    check_flag("shuffle_set_split", shuffle)
    batch_size = check_int("batch_size", batch_size, minimum=1)
    train_share = 0.9 if train_size is None else check_number("train_size", train_size, above=0, maximum=1)
    if batch_size < 2:
        raise error(
            "batch_size must be >= 2", got=batch_size, fix="Batch norm needs more than one cell a minibatch."
        )
    n_train = ceil(train_share * n_cells)
    n_validation = n_cells - n_train
    if validation_size is not None:
        share = check_number("validation_size", validation_size, minimum=0, below=1)
        if train_share + share > 1:
            raise error("train_size + validation_size must be <= 1", got=train_share + share)
        n_validation = min(floor(n_cells * share), n_cells - n_train)
    if n_train < 2:
        raise error("Training needs at least 2 cells", got=f"{n_train} of {n_cells}", fix="Raise train_size.")
    order = np.random.RandomState(seed).permutation(n_cells) if shuffle else np.arange(n_cells)
    return Split(
        train=order[n_validation : n_validation + n_train],
        validation=order[:n_validation],
        test=order[n_validation + n_train :],
        batch_size=batch_size,
    )
