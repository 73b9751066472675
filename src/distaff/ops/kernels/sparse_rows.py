"""Loops of the sparse linear layer; weights and their gradient are rows of genes, (genes, out)."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel

__all__ = ["gather_rows", "transpose"]


@kernel
def gather_rows(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, source: np.ndarray, out: np.ndarray
) -> None:
    """``out = csr @ source``; each row of ``out`` (rows, width) stays in the cache, four terms at a time."""
    width = source.shape[1]
    for i in range(out.shape[0]):
        row = out[i]
        for c in range(width):
            row[c] = np.float32(0.0)
        k = indptr[i]
        end = indptr[i + 1]
        while k + 3 < end:
            a0, a1, a2, a3 = values[k], values[k + 1], values[k + 2], values[k + 3]
            s0, s1 = source[indices[k]], source[indices[k + 1]]
            s2, s3 = source[indices[k + 2]], source[indices[k + 3]]
            for c in range(width):
                row[c] += (a0 * s0[c] + a1 * s1[c]) + (a2 * s2[c] + a3 * s3[c])
            k += 4
        while k < end:
            a0 = values[k]
            s0 = source[indices[k]]
            for c in range(width):
                row[c] += a0 * s0[c]
            k += 1


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
