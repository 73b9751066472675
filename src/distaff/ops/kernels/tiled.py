"""Loops of the tiled sparse layer: a part of the weights stays in the cache while many cells pass over it."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.vectors import log1p_values
from distaff.ops.kernels.views import row_part
from distaff.ops.kernels.weighted_rows import add_weighted_rows

__all__ = ["add_tiled_rows"]

ROWS = 1024  # cells that pass over a part of the weights before the next part is read
GENES = 2048  # of a part, 512 KiB: half of a common second-level cache


@inner
def _first_from(indices: np.ndarray, start: int, end: int, gene: int) -> int:
    """Position of the first of rising indices from ``start`` up to ``end`` that is not below ``gene``."""
    while start < end:
        middle = (start + end) // 2
        if indices[middle] < gene:
            start = middle + 1
        else:
            end = middle
    return start


@kernel
def add_tiled_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    logarithm: bool,  # noqa: FBT001 - numba takes no keywords alone
    tiles: np.ndarray,
    base: np.ndarray,
    out: np.ndarray,
) -> None:
    """``out = base + csr @ weight`` with weight (genes, outputs) as tiles (tiles, genes, columns).

    ``base`` has one row, or one a cell; with ``logarithm`` values become ``log(1 + value)``. Each row is
    added up in the order in which it is stored, whatever rows stand beside it. Indices that do not rise
    within a row cost time, no more.
    """
    n_rows = out.shape[0]
    place, work = np.empty(ROWS, np.int64), np.empty(0, np.float32)
    for first in range(0, n_rows, ROWS):
        last = min(first + ROWS, n_rows)
        begin, end = indptr[first], indptr[last]
        terms = values[begin:end]
        if logarithm:
            if work.size < end - begin:
                work = np.empty(2 * (end - begin), np.float32)
            log1p_values(terms, work)
            terms = work[: end - begin]
        part = base if base.shape[0] == 1 else base[first:last]
        _add_block(indptr[first : last + 1], indices[begin:end], terms, tiles, part, out[first:last], place)


@inner
def _add_block(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    tiles: np.ndarray,
    base: np.ndarray,
    out: np.ndarray,
    place: np.ndarray,
) -> None:
    """Rows whose entries stand alone in ``indices`` and ``values``; ``place`` is room for a number a row."""
    n_tiles, n_genes, width = tiles.shape
    n_rows, step = out.shape[0], np.int64(base.shape[0] > 1)
    for t in range(n_tiles):
        place[:n_rows] = indptr[:n_rows] - indptr[0]
        tile = tiles[t]
        for limit in range(GENES, n_genes + GENES, GENES):
            for i in range(n_rows):
                row = row_part(out, i, t * width, (t + 1) * width)
                if limit == GENES:
                    for c in range(width):
                        row[c] = base[i * step, t * width + c]
                start, end = place[i], indptr[i + 1] - indptr[0]
                if limit < n_genes:
                    end = _first_from(indices, start, end, limit)
                add_weighted_rows(indices, values, tile, np.int64(0), row, start, end)
                place[i] = end
