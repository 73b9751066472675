"""Products with a matrix of a few rows or columns, for which a call of the matrix library takes longer."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner
from distaff.ops.kernels.products import COLUMNS, SIDE, add_products
from distaff.ops.kernels.views import row_part

__all__ = ["SIDE", "add_product", "dot", "times_transposed"]

F = np.float32


@inner
def _add_multiple(a, source, out):
    for j in range(out.size):
        out[j] += a * source[j]


@inner
def add_product(factors, source, out, n):
    """``out += factors[:, :n] @ source[:n]``."""
    n_rows, n_columns = out.shape
    fours, whole = n_rows - n_rows % SIDE, n_columns - n_columns % COLUMNS
    for column in range(0, whole, COLUMNS):
        for row in range(0, fours, SIDE):
            add_products(factors, source, out, np.int64(row), np.int64(column), np.int64(n))
    for row in range(n_rows):
        first = whole if row < fours else 0
        rest = row_part(out, row, first, n_columns)
        for k in range(n):
            _add_multiple(factors[row, k], row_part(source, k, first, n_columns), rest)


@inner
def _four_dots(g0, g1, g2, g3, w):
    s0, s1, s2, s3 = F(0.0), F(0.0), F(0.0), F(0.0)
    for j in range(w.size):
        v = w[j]
        s0 += g0[j] * v
        s1 += g1[j] * v
        s2 += g2[j] * v
        s3 += g3[j] * v
    return s0, s1, s2, s3


@inner
def dot(g, w):
    """Sum of products of two vectors."""
    total = F(0.0)
    for j in range(w.size):
        total += g[j] * w[j]
    return total


@inner
def times_transposed(rows, weight, out):
    """``out = rows @ weight.T``."""
    n_rows, n_columns = rows.shape
    fours = n_rows - n_rows % SIDE
    for i in range(0, fours, SIDE):
        g0, g1 = row_part(rows, i, 0, n_columns), row_part(rows, i + 1, 0, n_columns)
        g2, g3 = row_part(rows, i + 2, 0, n_columns), row_part(rows, i + 3, 0, n_columns)
        for k in range(weight.shape[0]):
            s = _four_dots(g0, g1, g2, g3, row_part(weight, k, 0, n_columns))
            out[i, k], out[i + 1, k], out[i + 2, k], out[i + 3, k] = s
    for i in range(fours, n_rows):
        for k in range(weight.shape[0]):
            out[i, k] = dot(row_part(rows, i, 0, n_columns), row_part(weight, k, 0, n_columns))
