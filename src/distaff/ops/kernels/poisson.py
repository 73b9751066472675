"""Loops of the Poisson log-likelihood."""

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.rows import CHUNK, finish, gather, rates_of, scatter, split
from distaff.ops.kernels.vector_math import lgamma_parts, log64

__all__ = ["poisson_rows"]

F = np.float32
SMALLEST_RATE = 1e-8  # a softmax underflows to 0, of which the log of a Poisson rate is minus infinity
LOG_FACTORIAL = np.array([math.lgamma(i + 1.0) for i in range(256)])


@inner
def log_factorials(x):
    """Sum of log(x!) over the counts of a cell."""
    total = 0.0
    for k in range(x.size):
        i = int(x[k])
        if 0 <= i < LOG_FACTORIAL.size and F(i) == x[k]:
            total += LOG_FACTORIAL[i]
        else:
            s, p, _ = lgamma_parts(np.float64(x[k]) + 1.0)
            total += s - log64(p)
    return total


@inner
def _poisson_zeros(rates, high, low, by_mean):
    """Terms of zero counts, minus the rate, and their derivatives by its logarithm."""
    value, total = F(0.0), F(0.0)
    for j in range(rates.size):
        mean = rates[j] * low + rates[j] * high
        least = mean < F(SMALLEST_RATE)
        g = F(0.0) if least else -mean
        value -= F(SMALLEST_RATE) if least else mean
        total += g
        by_mean[j] = g
    return value, total


@inner
def _poisson_counts(x, mean, by_mean):
    """What the counts of a cell have beyond zeros but log(x!)."""
    value, total = 0.0, 0.0
    for k in range(x.size):
        count, mu = np.float64(x[k]), np.float64(mean[k])
        least = mu < SMALLEST_RATE
        value += count * log64(SMALLEST_RATE if least else mu)
        g = 0.0 if least else count
        total += g
        by_mean[k] = F(g)
    return value, total


@kernel
def poisson_rows(
    rates, slope, floor, indptr, indices, values, log_size, weights, wanted,
    by_mean, work, value, d_size, d_bias,
):  # fmt: skip
    """Poisson: logits in ``rates`` (cells, genes) become their derivatives where wanted."""
    n_genes = rates.shape[1]
    for i in range(rates.shape[0]):
        place, x = indices[indptr[i] : indptr[i + 1]], values[indptr[i] : indptr[i + 1]]
        row, n = rates[i], x.size
        total = rates_of(rates, slope, floor, i)
        size = math.exp(np.float64(log_size[i]))
        factor = size / total
        high, low = split(factor)
        v, g = 0.0, 0.0
        for start in range(0, n_genes, CHUNK):
            c = slice(start, start + CHUNK)
            v0, g0 = _poisson_zeros(row[c], high, low, by_mean[c])
            v += np.float64(v0)
            g += np.float64(g0)
        gather(row, place, work[0])
        for k in range(n):
            work[0, k] *= high
        v1, g1 = _poisson_counts(x, work[0], work[1])
        value[i] = v + v1 - log_factorials(x) if math.isfinite(total) else np.nan
        if wanted:
            scatter(by_mean, place, work[1], F(1.0))
            d_size[i] = weights[i] * (g + g1)
            finish(row, by_mean, factor, (g + g1) / size if size > 0.0 else 0.0, weights[i], d_bias)
