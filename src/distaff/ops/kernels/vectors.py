"""Loops over single values."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel
from distaff.ops.kernels.vector_math import log1p32

__all__ = ["count_nonzero", "log1p_values", "sum_rows"]

F = np.float32


@kernel
def log1p_values(x, out):
    """``log(1 + x)`` of values above -1/2."""
    for k in range(x.size):
        u = F(1.0) + x[k]
        out[k] = log1p32(x[k], u, F(1.0) / u)


@kernel
def count_nonzero(x):
    """Number of values that are not zero."""
    n = np.int32(0)
    for k in range(x.size):
        n += np.int32(x[k] != F(0.0))
    return n


@kernel
def sum_rows(indptr, values, out):
    """Sum of the values of each row, in float64."""
    for i in range(out.size):
        row = values[indptr[i] : indptr[i + 1]]
        total = 0.0
        for k in range(row.size):
            total += np.float64(row[k])
        out[i] = F(total)
