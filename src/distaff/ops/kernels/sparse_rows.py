"""Loops of the sparse linear layer; weights and their gradient are rows of genes, (genes, out)."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.views import part, row_part
from distaff.ops.kernels.weighted_rows import WIDTH, add_weighted_rows

__all__ = ["copy_rows", "gather_row", "gather_rows", "transpose"]


@inner
def gather_row(
    indices: np.ndarray, values: np.ndarray, source: np.ndarray, row: np.ndarray, start: int, end: int
) -> None:
    """``row = sum of values[k] * source[indices[k]]`` for k from ``start`` up to ``end``."""
    width = source.shape[1]
    for c in range(width):
        row[c] = np.float32(0.0)
    whole = width - width % WIDTH
    for column in range(0, whole, WIDTH):
        sums = part(row, column, column + WIDTH)
        add_weighted_rows(indices, values, source, np.int64(column), sums, np.int64(start), np.int64(end))
    if whole < width:
        for k in range(start, end):
            a, i = values[k], indices[k]
            for c in range(whole, width):
                row[c] += a * source[i, c]


@kernel
def gather_rows(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, source: np.ndarray, out: np.ndarray
) -> None:
    """``out = csr @ source``."""
    for i in range(out.shape[0]):
        row = row_part(out, i, 0, out.shape[1])
        gather_row(indices, values, source, row, indptr[i], indptr[i + 1])


@kernel
def transpose(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    t_indptr: np.ndarray,
    t_indices: np.ndarray,
    t_values: np.ndarray,
) -> None:
    """CSR to the CSR of the transposed matrix by counting; rows stay in order within each column."""
    n_columns = t_indptr.size - 1
    t_indptr[:] = 0
    for k in range(indices.size):
        t_indptr[indices[k] + 1] += 1
    for j in range(n_columns):
        t_indptr[j + 1] += t_indptr[j]
    place = t_indptr[:n_columns].copy()
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            t_indices[place[j]] = i
            t_values[place[j]] = values[k]
            place[j] += 1


@kernel
def copy_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    out_indptr: np.ndarray,
    out_indices: np.ndarray,
    out_values: np.ndarray,
) -> None:
    """Rows of a CSR matrix to another, whose row pointers are known."""
    for i in range(rows.size):
        start, stop = indptr[rows[i]], indptr[rows[i] + 1]
        begin, end = out_indptr[i], out_indptr[i + 1]
        from_indices, to_indices = indices[start:stop], out_indices[begin:end]
        from_values, to_values = values[start:stop], out_values[begin:end]
        for k in range(to_values.size):
            to_indices[k] = from_indices[k]
            to_values[k] = from_values[k]
