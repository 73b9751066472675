"""Ranks of many columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["column_ranks"]


def column_ranks(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average ranks from 1 within each column; one column at a time, which bounds the memory."""
    ranks = np.empty(Z.shape)
    for d, column in enumerate(Z.T):
        ranks[:, d] = rankdata(column)
    return ranks
