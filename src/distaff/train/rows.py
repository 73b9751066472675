"""Rows of a matrix in memory; neighbours are not copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["take_rows"]


def take_rows(counts: Any, positions: np.ndarray) -> Any:
    """Rows at these positions, in this order; those of a CSR matrix that follow each other share its memory.

    Parameters
    ----------
    counts
        Array, or matrix in CSR format, (cells, genes); must not be changed while the rows are in use.
    positions
        Positions of the rows.
    """
    if not sparse.issparse(counts) or not _follow_each_other(positions) or not counts.data.flags.writeable:
        return counts[positions]
    start, stop = positions[0], positions[-1] + 1
    first, last = counts.indptr[start], counts.indptr[stop]
    rows = sparse.csr_matrix((len(positions), counts.shape[1]), dtype=counts.dtype)
    rows.data, rows.indices = counts.data[first:last], counts.indices[first:last]  # scipy itself would copy
    rows.indptr = counts.indptr[start : stop + 1] - first
    rows.has_canonical_format = counts.has_canonical_format
    return rows


def _follow_each_other(positions: np.ndarray) -> bool:
    n = len(positions)
    return n > 0 and positions[-1] - positions[0] == n - 1 and bool((np.diff(positions) == 1).all())
