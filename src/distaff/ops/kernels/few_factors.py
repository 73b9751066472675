"""Negative binomial under a linear map of few factors, a few cells at a time: nothing leaves the cache."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.nb import nb_rows
from distaff.ops.kernels.products import COLUMNS, SIDE, add_products
from distaff.ops.kernels.views import row_part

__all__ = ["nb_few_factors"]

F = np.float32
ROWS = 8  # cells that are computed together
FLUSH = 64  # cells whose derivatives by theta and bias are added up in float32


@inner
def _add_product(factors, source, out, n):
    """``out += factors[:, :n] @ source[:n]``; ``out`` has a multiple of 4 rows."""
    n_rows, n_columns = out.shape
    whole = n_columns - n_columns % COLUMNS
    for column in range(0, whole, COLUMNS):
        for row in range(0, n_rows, SIDE):
            add_products(factors, source, out, np.int64(row), np.int64(column), np.int64(n))
    for row in range(n_rows):
        for k in range(n):
            a = factors[row, k]
            for j in range(whole, n_columns):
                out[row, j] += a * source[k, j]


@kernel
def _logits(features, weight, bias, out):
    """``out = features @ weight + bias``."""
    n_genes = weight.shape[1]
    for i in range(out.shape[0]):
        row = row_part(out, i, 0, n_genes)
        for j in range(n_genes):
            row[j] = bias[j] if bias.size else F(0.0)
    _add_product(features, weight, out, weight.shape[0])


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
def _dot(g, w):
    total = F(0.0)
    for j in range(w.size):
        total += g[j] * w[j]
    return total


@inner
def _by_features(gradient, weight, out):
    """``out = gradient @ weight.T``."""
    n_rows, n_genes = gradient.shape
    fours = n_rows - n_rows % SIDE
    for i in range(0, fours, SIDE):
        g0, g1 = row_part(gradient, i, 0, n_genes), row_part(gradient, i + 1, 0, n_genes)
        g2, g3 = row_part(gradient, i + 2, 0, n_genes), row_part(gradient, i + 3, 0, n_genes)
        for k in range(weight.shape[0]):
            s = _four_dots(g0, g1, g2, g3, row_part(weight, k, 0, n_genes))
            out[i, k], out[i + 1, k], out[i + 2, k], out[i + 3, k] = s
    for i in range(fours, n_rows):
        for k in range(weight.shape[0]):
            out[i, k] = _dot(row_part(gradient, i, 0, n_genes), row_part(weight, k, 0, n_genes))


@kernel
def nb_few_factors(
    features, weight, bias, indptr, indices, values, log_size, theta, inverse, codes, weights, wanted,
    value, d_features, d_weight, d_size, d_bias, d_theta,
):  # fmt: skip
    """Log-likelihood of each cell, and where wanted the gradients of its sum with ``weights``.

    ``weight`` is (factors, genes); what is wanted is added to ``d_weight``, and to ``d_bias`` and ``d_theta``
    in float64.
    """
    n_cells, n_factors = features.shape
    n_genes = weight.shape[1]
    rows, slope = np.empty((ROWS, n_genes), F), np.empty((0, 0), F)
    own, by_factor = np.zeros((ROWS, n_factors), F), np.zeros((-(-n_factors // SIDE) * SIDE, ROWS), F)
    by_weight = np.zeros((by_factor.shape[0], n_genes), F)  # with rows to fill it up
    scratch = np.empty(n_genes, F), np.empty((7, n_genes), F)
    large = np.empty((3, n_genes)), np.empty(n_genes, np.int32)
    by_bias, by_theta = np.zeros(n_genes, F), np.zeros(theta.shape, F)
    flushed = 0
    for start in range(0, n_cells, ROWS):
        stop = min(start + ROWS, n_cells)
        n = stop - start
        for i in range(n):
            for k in range(n_factors):
                own[i, k] = by_factor[k, i] = features[start + i, k]
        _logits(own, weight, bias, rows)
        block = rows[:n]
        nb_rows(
            block, slope, 0.0, indptr[start : stop + 1], indices, values, log_size[start:stop],
            theta, inverse, codes[start:stop], weights[start:stop], wanted,
            scratch[0], scratch[1], large[0], large[1],
            value[start:stop], d_size[start:stop], by_bias, by_theta,
        )  # fmt: skip
        if not wanted:
            continue
        _by_features(block, weight, d_features[start:stop])
        _add_product(by_factor, block, by_weight, n)
        if stop - flushed >= FLUSH or stop == n_cells:
            d_bias += by_bias
            d_theta += by_theta
            by_bias[:] = F(0.0)
            by_theta[:] = F(0.0)
            flushed = stop
    if wanted:
        d_weight += by_weight[:n_factors]
