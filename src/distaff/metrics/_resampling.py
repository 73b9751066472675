"""Seeded draws of cells that do not depend on the order in which the cells come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["LevelSampler", "canonical_columns", "canonical_rows", "sort_alike", "stratified_folds"]

N_KEYS = 32  # cells, the outermost ones, that tell dimensions apart whose sums over all cells are equal


def _distances(Z: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the distance of each rank from the middle: whole numbers, blind to the sign of a dimension."""
    distances = np.empty(Z.shape, dtype=np.int64)
    for d, column in enumerate(Z.T):  # one at a time, which bounds the memory
        distances[:, d] = np.abs((2 * rankdata(column)).astype(np.int64) - (len(Z) + 1))
    return distances


def canonical_rows(Z: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of the cells (rows) by how far out they lie, the same however cells and dimensions are permuted.

    Of cells that lie equally far out, such as the two ends of a single dimension, the one on the side of the
    short tails comes first. Where that is the same too, as where one cell has in one dimension what another
    has in a second, dimensions count differently, in an order that the other cells give them. Cells that are
    alike in this too keep their order; see :func:`sort_alike` for their labels.
    """
    distance = _distances(Z)
    each = np.ones(Z.shape[1], dtype=np.int64)
    keys = (_side(Z, distance, each), distance.sum(axis=1), np.einsum("nd,nd->n", distance, distance))
    order = np.lexsort(keys)
    like_next = np.all([key[order][1:] == key[order][:-1] for key in keys], axis=0)
    if not like_next.any():
        return order
    place = np.arange(len(Z)) * ~(np.r_[like_next, False] | np.r_[False, like_next])
    weights = np.empty_like(each)
    weights[np.argsort(place[np.argsort(order)] @ distance, kind="stable")] = np.arange(1, len(each) + 1)
    return np.lexsort((_side(Z, distance, weights), distance @ weights, *keys))


def sort_alike(labels: NDArray[Any], Z: NDArray[np.float64]) -> NDArray[Any]:
    """Labels of cells in canonical order, sorted among neighbours with the same ``Z``: they have no order."""
    alike = (Z[1:] == Z[:-1]).all(axis=1)
    if not alike.any():
        return labels
    return labels[np.lexsort((labels, np.cumsum(np.r_[True, ~alike])))]


def _side(
    Z: NDArray[np.float64], distance: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(cells,) distances, each positive on the side of its dimension's long tail, times weights, summed."""
    side = np.zeros(len(Z), dtype=np.int64)
    for d, column in enumerate(Z.T):
        above = np.sign(column - np.median(column)).astype(np.int64)
        side += weights[d] * _long_tail(column) * above * distance[:, d]
    return side


def _long_tail(column: NDArray[np.float64]) -> int:
    """1 where the upper tail of a dimension is the longer one, -1 where the lower one is, 0 for neither."""
    middle = np.median(column)
    return int(np.sign((column.max() - middle) - (middle - column.min())))


def canonical_columns(Z: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of the dimensions of cells in canonical order, the same however dimensions are permuted."""
    distances = _distances(Z)
    return np.lexsort((*distances[-N_KEYS:], np.arange(len(Z)) @ distances))


def stratified_folds(codes: NDArray[Any], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold number of each cell: the cells of each class dealt out in turn, after a seeded shuffle."""
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(len(codes), dtype=np.int64)
    folds[order] = np.arange(len(codes)) % n_folds
    return folds


class LevelSampler:
    """Draws groups of cells that share the level of a factor.

    Parameters
    ----------
    codes
        (cells,) level of each cell. Levels of a single cell are left out: all that is drawn there is the
        same.
    """

    def __init__(self, codes: NDArray[np.int64]) -> None:
        sizes = np.bincount(codes)
        kept = sizes > 1
        self.cells = np.argsort(codes, kind="stable")
        self.starts = (np.cumsum(sizes) - sizes)[kept]
        self.sizes = sizes[kept]

    @property
    def empty(self) -> bool:
        """Whether no level has two cells."""
        return len(self.sizes) == 0

    def draw(self, rng: np.random.Generator, n_groups: int, group_size: int) -> NDArray[np.int64]:
        """(groups, cells of a group) with replacement; a level is drawn as often as it is frequent."""
        level = np.searchsorted(np.cumsum(self.sizes), rng.integers(self.sizes.sum(), size=n_groups), "right")
        place = (rng.random((n_groups, group_size)) * self.sizes[level, None]).astype(np.int64)
        return self.cells[self.starts[level, None] + place]
