"""Negative binomial under a linear map of few factors, a few cells at a time: nothing leaves the cache."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.narrow import SIDE, add_product, times_transposed
from distaff.ops.kernels.nb import nb_row
from distaff.ops.kernels.rows import softmax_row
from distaff.ops.kernels.views import part, row_part

__all__ = ["nb_few_factors"]

F = np.float32
ROWS = 8  # cells that are computed together
FLUSH = 64  # cells whose derivatives by theta and bias are added up in float32


@inner
def _logits(features, weight, bias, out):
    """``out = features @ weight + bias``."""
    n_genes = weight.shape[1]
    for i in range(out.shape[0]):
        row = row_part(out, i, 0, n_genes)
        for j in range(n_genes):
            row[j] = bias[j] if bias.size else F(0.0)
    add_product(features, weight, out, weight.shape[0])


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
    rows = np.empty((ROWS, n_genes), F)
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
        for i in range(n):
            cell = start + i
            place = part(indices, indptr[cell], indptr[cell + 1])
            x, code = part(values, indptr[cell], indptr[cell + 1]), codes[cell]
            row = row_part(rows, i, 0, n_genes)
            value[cell], by_size = nb_row(
                row, softmax_row(row), x, place, log_size[cell], row_part(theta, code, 0, n_genes),
                row_part(inverse, code, 0, n_genes), weights[cell], wanted, scratch[0], scratch[1], large[0],
                large[1], by_bias, row_part(by_theta, code, 0, n_genes),
            )  # fmt: skip
            if wanted:
                d_size[cell] = weights[cell] * by_size
        if not wanted:
            continue
        times_transposed(rows[:n], weight, d_features[start:stop])
        add_product(by_factor, rows, by_weight, n)
        if stop - flushed >= FLUSH or stop == n_cells:
            d_bias += by_bias
            d_theta += by_theta
            by_bias[:] = F(0.0)
            by_theta[:] = F(0.0)
            flushed = stop
    if wanted:
        d_weight += by_weight[:n_factors]
