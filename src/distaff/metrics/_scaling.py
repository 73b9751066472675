"""Dimensions on a common scale that no single cell can set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distaff.metrics._contract import constant_columns

__all__ = ["CLIP", "clip_extremes", "standardise"]

CLIP = 0.001  # share of cells drawn in at either end of a dimension: enough for stray cells, keeps rare types


def clip_extremes(Z: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Draw the extreme cells of each dimension (column) in to the next value.

    ``share`` of the cells at either end, but at least one, so that one cell never decides; 0 leaves all.
    """
    n_cells = len(Z)
    n_clipped = min(max(1, int(share * n_cells)), (n_cells - 1) // 2)
    if share == 0 or n_clipped == 0:
        return Z
    ordered = np.partition(Z, (n_clipped, n_cells - 1 - n_clipped), axis=0)
    return np.clip(Z, ordered[n_clipped], ordered[n_cells - 1 - n_clipped])


def standardise(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0 and variance 1 of each dimension, all 0 where it is constant."""
    scaled = Z - Z.mean(axis=0)
    constant = constant_columns(Z)
    scaled[:, constant] = 0.0
    scaled /= np.where(constant, 1.0, Z.std(axis=0))
    return scaled
