"""Loops of the negative binomial log-likelihood."""

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.rows import CHUNK, finish, gather, rates_of, scatter, split
from distaff.ops.kernels.vector_math import lgamma_parts, log1p32, log32, log64
from distaff.ops.kernels.views import part, row_part

__all__ = ["EPS", "nb_counts", "nb_row", "nb_rows", "nb_zeros"]

F = np.float32
EPS = 1e-8  # scvi-tools adds it to means and dispersions
HALF, THIRD, QUARTER = F(0.5), F(1 / 3), F(0.25)


@inner
def nb_zeros(rates, high, low, theta, inverse, by_mean, d_theta, weight):
    """Terms of zero counts, -theta log(1 + mean / theta), and their derivatives by log mean and theta."""
    value, total = F(0.0), F(0.0)
    for j in range(rates.size):
        r = (rates[j] * low + rates[j] * high) * inverse[j]
        u = F(1.0) + r
        q = F(1.0) / u
        log = log1p32(r, u, q)
        g = -theta[j] * (r * q)
        value -= theta[j] * log
        total += g
        by_mean[j] = g
        d_theta[j] -= weight * (g * inverse[j] + log)
    return value, total


@inner
def _small_counts(x, mean, theta, by_mean, by_theta):
    """Add what the counts 1 to 4 have beyond a zero, log of x factors; 0 adds nothing."""
    value, total = F(0.0), F(0.0)
    for k in range(x.size):
        count, th, mu = x[k], theta[k], mean[k] + F(EPS)
        q = F(1.0) / (th + mu)
        share = mu * q
        t1, t2, t3 = th + F(1.0), th + F(2.0), th + F(3.0)
        one, two, three, four = count > F(0.5), count > F(1.5), count > F(2.5), count > F(3.5)
        p = (th * share if one else F(1.0)) * (t1 * share * HALF if two else F(1.0))
        p *= (t2 * share * THIRD if three else F(1.0)) * (t3 * share * QUARTER if four else F(1.0))
        value += log32(p)
        g = count * th * (mean[k] / mu) * q
        total += g
        by_mean[k] += g
        slope = (F(1.0) / th if one else F(0.0)) + (F(1.0) / t1 if two else F(0.0))
        slope += (F(1.0) / t2 if three else F(0.0)) + (F(1.0) / t3 if four else F(0.0))
        by_theta[k] += slope - count * q
    return value, total


@inner
def _large_counts(x, mean, theta):
    """What any counts have beyond zeros; ``mean`` -> derivative by its logarithm, ``theta`` -> by it."""
    value, total = 0.0, 0.0
    for k in range(x.size):
        count, th, mu = x[k], theta[k], mean[k] + EPS
        s0, p0, d0 = lgamma_parts(th)
        s1, p1, d1 = lgamma_parts(count + th)
        s2, p2, _ = lgamma_parts(count + 1.0)
        t = th + mu
        value += count * (log64(mu) - log64(t)) + (s1 - s0) - s2 + log64(p0 / p1 * p2)
        g = count * th * mean[k] / (t * mu)
        mean[k] = g
        total += g
        theta[k] = (d1 - d0) - count / t
    return value, total


@inner
def nb_counts(x, work, double, order):
    """Add what the counts of a cell have beyond zeros.

    ``work`` holds mean, theta, derivatives by log mean and theta; the small counts take the fifth row of it.
    Large and fractional ones are computed in ``double`` (3, counts); ``order`` (counts) tells where they are.
    """
    n, m = x.size, 0
    mean, theta, by_mean, by_theta, small = work[0, :n], work[1, :n], work[2, :n], work[3, :n], work[4, :n]
    for k in range(n):
        other = x[k] > F(4.0) or x[k] != F(np.int32(x[k]))
        order[m] = k
        m += int(other)
        small[k] = F(0.0) if other else x[k]
    value, total = _small_counts(small, mean, theta, by_mean, by_theta)
    large, mu, th = double[0, :m], double[1, :m], double[2, :m]
    for k in range(m):
        o = order[k]
        large[k], mu[k], th[k] = np.float64(x[o]), np.float64(mean[o]), np.float64(theta[o])
    large_value, large_total = _large_counts(large, mu, th)
    for k in range(m):
        by_mean[order[k]] += F(mu[k])
        by_theta[order[k]] += F(th[k])
    return np.float64(value) + large_value, np.float64(total) + large_total


@inner
def nb_row(
    row, total, x, place, log_size, theta, inverse, weight, wanted,
    by_mean, work, double, order, d_bias, d_theta,
):  # fmt: skip
    """Rates of a cell, which add up to ``total``, to derivatives by the logits where wanted.

    Returns the value and its derivative by the log library size.
    """
    n_genes, n = row.size, x.size
    size = math.exp(np.float64(log_size))
    factor = size / total
    high, low = split(factor)
    v, g = 0.0, 0.0
    for start in range(0, n_genes, CHUNK):
        stop = min(start + CHUNK, n_genes)
        means, terms = part(row, start, stop), part(by_mean, start, stop)
        thetas, inverses = part(theta, start, stop), part(inverse, start, stop)
        v0, g0 = nb_zeros(means, high, low, thetas, inverses, terms, part(d_theta, start, stop), weight)
        v += np.float64(v0)
        g += np.float64(g0)
    gather(row, place, work[0])
    for k in range(n):
        work[0, k] *= high
        work[2, k] = F(0.0)
        work[3, k] = F(0.0)
    gather(theta, place, work[1])
    v1, g1 = nb_counts(x, work, double, order)
    slope = g + g1
    if wanted:
        scatter(by_mean, place, work[2], F(1.0))
        scatter(d_theta, place, work[3], weight)
        finish(row, by_mean, factor, slope / size if size > 0.0 else 0.0, weight, d_bias)
    return v + v1 if math.isfinite(total) else np.nan, slope


@kernel
def nb_rows(
    rates, slope, floor, indptr, indices, values, log_size, theta, inverse, codes, weights, wanted,
    by_mean, work, double, order, value, d_size, d_bias, d_theta,
):  # fmt: skip
    """Negative binomial: logits in ``rates`` (cells, genes) become their derivatives where wanted."""
    n_genes = rates.shape[1]
    for i in range(rates.shape[0]):
        place, x = indices[indptr[i] : indptr[i + 1]], values[indptr[i] : indptr[i + 1]]
        total, code = rates_of(rates, slope, floor, i), codes[i]
        th, inv = row_part(theta, code, 0, n_genes), row_part(inverse, code, 0, n_genes)
        value[i], by_size = nb_row(
            row_part(rates, i, 0, n_genes), total, x, place, log_size[i], th, inv, weights[i], wanted,
            by_mean, work, double, order, d_bias, row_part(d_theta, code, 0, n_genes),
        )  # fmt: skip
        if wanted:
            d_size[i] = weights[i] * by_size
