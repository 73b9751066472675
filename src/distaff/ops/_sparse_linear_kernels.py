"""Loops of the sparse linear layer; weights and their gradient are rows of genes, (genes, out)."""

from __future__ import annotations

import numpy as np

from distaff.ops._compile import kernel

__all__ = ["gather_rows", "transpose"]


@kernel
def gather_rows(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, source: np.ndarray, out: np.ndarray
) -> None:
    """``out = csr @ source``; each row of ``out`` (rows, width) stays in the cache, seven terms at a time.

    More rows than these in one loop are too many for the compiler to see that they do not overlap. Terms that
    the last group lacks are the row's last one times 0.
    """
    width = source.shape[1]
    a = np.empty(7, np.float32)
    j = np.empty(7, np.int64)
    for i in range(out.shape[0]):
        row = out[i]
        for c in range(width):
            row[c] = np.float32(0.0)
        end = indptr[i + 1]
        for k in range(indptr[i], end, 7):
            for m in range(7):
                here = k + m < end
                j[m] = indices[k + m] if here else indices[end - 1]
                a[m] = values[k + m] if here else np.float32(0.0)
            a0, a1, a2, a3, a4, a5, a6 = a[0], a[1], a[2], a[3], a[4], a[5], a[6]
            s0, s1, s2, s3 = source[j[0]], source[j[1]], source[j[2]], source[j[3]]
            s4, s5, s6 = source[j[4]], source[j[5]], source[j[6]]
            for c in range(width):
                low = (a0 * s0[c] + a1 * s1[c]) + (a2 * s2[c] + a3 * s3[c])
                row[c] += low + ((a4 * s4[c] + a5 * s5[c]) + a6 * s6[c])


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
