"""Rows of a matrix in memory as the sparse tensor of a minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from distaff.ops.kernels.sparse_rows import copy_rows

__all__ = ["take_rows"]


def take_rows(counts: Any, positions: np.ndarray) -> Tensor:
    """Rows at these positions, in this order, as a float32 sparse CSR tensor (rows, genes).

    Parameters
    ----------
    counts
        Array, or matrix in CSR format, (cells, genes). Rows of a float32 CSR matrix that follow each other
        share its memory: it must not be changed while they are in use.
    positions
        Positions of the rows.
    """
    as_is = sparse.issparse(counts) and _is_plain(counts.data, np.float32)
    if as_is and _is_plain(counts.indices, np.int32):
        read = _shared if _follow_each_other(positions) else _gathered
        arrays = read(counts, positions)
    else:
        rows = sparse.csr_matrix(counts[positions])
        arrays = rows.indptr, rows.indices, rows.data.astype(np.float32, copy=False)
    indptr, indices, data = (torch.from_numpy(array) for array in arrays)
    size = len(positions), counts.shape[1]
    return torch.sparse_csr_tensor(indptr, indices, data, size=size, check_invariants=False)


def _is_plain(array: np.ndarray, kind: type) -> bool:
    """Whether loops and tensors can use an array as it is."""
    return array.dtype == kind and array.flags.writeable


def _shared(counts: Any, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, stop = positions[0], positions[-1] + 1
    first, last = counts.indptr[start], counts.indptr[stop]
    indptr = (counts.indptr[start : stop + 1] - first).astype(np.int32)
    return indptr, counts.indices[first:last], counts.data[first:last]


def _gathered(counts: Any, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    indptr = np.zeros(len(positions) + 1, np.int32)
    np.cumsum(counts.indptr[positions + 1] - counts.indptr[positions], out=indptr[1:])
    indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    copy_rows(counts.indptr, counts.indices, counts.data, positions, indptr, indices, data)
    return indptr, indices, data


def _follow_each_other(positions: np.ndarray) -> bool:
    n = len(positions)
    return n > 0 and positions[-1] - positions[0] == n - 1 and bool((np.diff(positions) == 1).all())
