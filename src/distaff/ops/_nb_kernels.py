"""Loops of the negative binomial log-likelihood."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from distaff.ops._compile import kernel
from distaff.ops._row_kernels import CHUNK, finish, put, scale, take
from distaff.ops._vector_math import lgamma_parts, log1p32, log64

__all__ = ["gather", "gene_terms", "log_factorials", "nb_counts", "nb_rows", "scatter"]

F = np.float32
LOG_FACTORIAL = np.array([math.lgamma(i + 1.0) for i in range(256)])
EPS = 1e-8  # scvi-tools adds it to means and dispersions


@kernel
def _nb_part(mean, theta, inverse, derivative, d_theta, weight):
    value, total = F(0.0), 0.0
    for j in range(mean.size):
        r = mean[j] * inverse[j]
        th = theta[j] + F(EPS)
        d = F(1.0) / (th + mean[j])
        log = log1p32(r, F(1.0) + r, th * d)
        share = mean[j] * d
        g = -theta[j] * share
        value -= theta[j] * log
        total += np.float64(g)
        derivative[j] = g
        d_theta[j] += np.float64(weight * (theta[j] * inverse[j] * share - log))
    return value, total


@kernel
def _nb_zeros(mean, theta, inverse, derivative, d_theta, weight):
    """Terms of zero counts, -theta log(1 + mean / theta), and their derivatives."""
    value, total = 0.0, 0.0
    for start in range(0, mean.size, CHUNK):
        end = min(start + CHUNK, mean.size)
        part, part_total = _nb_part(
            mean[start:end],
            theta[start:end],
            inverse[start:end],
            derivative[start:end],
            d_theta[start:end],
            weight,
        )
        value += np.float64(part)
        total += part_total
    return value, total


@kernel
def gene_terms(theta, terms):
    """Log theta, log Gamma(theta) and digamma(theta), (groups, 3, genes)."""
    for r in range(theta.shape[0]):
        for j in range(theta.shape[1]):
            th = np.float64(theta[r, j])
            s, p, d = lgamma_parts(th)
            terms[r, 0, j] = log64(th + EPS)
            terms[r, 1, j] = s - log64(p)
            terms[r, 2, j] = d


@kernel
def log_factorials(x):
    """Sum of log(x!) over the counts of a cell."""
    total = 0.0
    for k in range(x.size):
        i = int(x[k])
        if 0 <= i < LOG_FACTORIAL.size and F(i) == x[k]:
            total += LOG_FACTORIAL[i]
        else:
            total += math.lgamma(np.float64(x[k]) + 1.0)
    return total


@kernel
def _nb_counts(x, mean, theta, log_theta, log_gamma, digamma):
    """Full terms but log(x!); ``mean`` -> derivative by its logarithm, ``theta`` -> derivative by it."""
    value, total = 0.0, 0.0
    for k in range(x.size):
        count, mu, th = np.float64(x[k]), mean[k], theta[k]
        t = th + mu + EPS
        product = 1.0 / (t * (mu + EPS))
        per_t = product * (mu + EPS)
        log_t = log64(t)
        s, p, d = lgamma_parts(count + th)
        value += count * log64(mu + EPS) + th * log_theta[k] - (th + count) * log_t
        value += (s - log_gamma[k]) - log64(p)
        g = th * mu * (count - mu - EPS) * product
        mean[k] = g
        total += g
        theta[k] = (d - digamma[k]) + (log_theta[k] - log_t) + (mu + EPS - count) * per_t - EPS / (th + EPS)
    return value, total


@kernel
def nb_counts(x, place, theta, terms, work):
    """Terms of the non-zeros of a cell; ``work`` holds the means, then the derivatives behind them."""
    mean, th = work[1, : x.size], work[2, : x.size]
    for k in range(x.size):
        mean[k] = work[0, k]
        th[k] = theta[place[k]]
        work[3, k] = terms[0, place[k]]
        work[4, k] = terms[1, place[k]]
        work[5, k] = terms[2, place[k]]
    value, total = _nb_counts(x, mean, th, work[3, : x.size], work[4, : x.size], work[5, : x.size])
    return value - log_factorials(x), total


@kernel
def gather(source, indices, taken):
    for k in range(indices.size):
        taken[k] = source[indices[k]]


@kernel
def scatter(target, indices, terms, weight):
    for k in range(indices.size):
        target[indices[k]] += weight * terms[k]


@kernel
def nb_rows(
    rates, total, indptr, indices, values, log_size, theta, inverse, terms, codes, weights,
    mean, work, value, d_size, d_theta,
):  # fmt: skip
    """Negative binomial: ``rates`` (cells, genes) become the derivatives by the logits."""
    for i in range(rates.shape[0]):
        begin, end = indptr[i], indptr[i + 1]
        place, x = indices[begin:end], values[begin:end]
        n = end - begin
        mu, by_mean, by_theta = work[0, :n], work[1, :n], work[2, :n]
        code, weight = codes[i], weights[i]
        size = math.exp(np.float64(log_size[i]))
        scale(rates[i], size / total[i], mean)
        take(mean, place, mu)
        v0, g0 = _nb_zeros(mean, theta[code], inverse[code], rates[i], d_theta[code], F(weight))
        v1, g1 = nb_counts(x, place, theta[code], terms[code], work)
        put(mean, place, mu, rates[i], by_mean)
        scatter(d_theta[code], place, by_theta, weight)
        value[i] = v0 + v1 if math.isfinite(total[i]) else np.nan
        d_size[i] = finish(rates[i], mean, g0 + g1, size, weight)
