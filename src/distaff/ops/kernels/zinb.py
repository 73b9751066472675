"""Loops of the zero-inflated negative binomial log-likelihood."""

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.nb import nb_counts, nb_zeros
from distaff.ops.kernels.rows import CHUNK, finish, gather, rates_of, scatter, split
from distaff.ops.kernels.vector_math import log1p32, sigmoid_parts
from distaff.ops.kernels.views import part, row_part

__all__ = ["zinb_rows"]

F = np.float32


@inner
def _zinb_logs(rates, high, low, theta, inverse, log, by_mean):
    """Log chance of zero of the counts alone, -theta ``log``, and its derivative by the log mean."""
    for j in range(rates.size):
        r = (rates[j] * low + rates[j] * high) * inverse[j]
        u = F(1.0) + r
        q = F(1.0) / u
        log[j] = log1p32(r, u, q)
        by_mean[j] = -theta[j] * (r * q)


@inner
def _zinb_mixture(log, theta, logit, chance, weight):
    """Log chance of zero, softplus(w - logit) - softplus(-logit) with w that of the counts alone.

    ``logit`` becomes its weighted derivative, ``chance`` that a zero comes from the counts.
    """
    value = F(0.0)
    for j in range(log.size):
        w, pi = -theta[j] * log[j], logit[j]
        y = w - pi
        e1, q1 = sigmoid_parts(y)
        e2, q2 = sigmoid_parts(pi)
        r = (e1 - e2) * q2
        inverse = (F(1.0) + e2) * q1  # of 1 + r
        value += max(w, min(pi, F(0.0))) + log1p32(r, F(1.0) + r, inverse)
        from_counts = q1 if y > F(0.0) else e1 * q1
        chance[j] = from_counts
        logit[j] = weight * ((q2 if pi < F(0.0) else e2 * q2) - from_counts)
    return value


@inner
def _zinb_derivatives(log, chance, inverse, by_mean, d_theta, weight):
    total = F(0.0)
    for j in range(log.size):
        g = by_mean[j] * chance[j]
        d_theta[j] -= weight * (g * inverse[j] + chance[j] * log[j])
        total += g
        by_mean[j] = g
    return total


@inner
def _dropout_counts(logit):
    """Log chance of no further zero, -softplus(logit), of the non-zeros; ``logit`` -> derivative."""
    value = F(0.0)
    for k in range(logit.size):
        pi = logit[k]
        e, q = sigmoid_parts(pi)
        value -= max(pi, F(0.0)) + log1p32(e, F(1.0) + e, q)
        logit[k] = -(e * q if pi < F(0.0) else q)
    return value


@inner
def _take(row, place, factor, taken):
    """Move the means of the non-zeros out: a zero of the mean 0 has the chance 1 and adds nothing."""
    for k in range(place.size):
        j = np.uint32(place[k])
        taken[k] = row[j] * factor
        row[j] = F(0.0)


@inner
def _counts(x, place, theta, inverse, work, double, order):
    """Full terms of the non-zeros, their means and dropout logits in ``work``, where the derivatives go."""
    n = x.size
    mean, th, by_mean, by_theta, inv, pi = (
        work[0, :n], work[1, :n], work[2, :n], work[3, :n], work[5, :n], work[6, :n]
    )  # fmt: skip
    gather(theta, place, th)
    gather(inverse, place, inv)
    for k in range(n):
        by_theta[k] = F(0.0)
    v0, g0 = nb_zeros(mean, F(1.0), F(0.0), th, inv, by_mean, by_theta, F(1.0))
    v1, g1 = nb_counts(x, work, double, order)
    return np.float64(v0) + v1 + np.float64(_dropout_counts(pi)), np.float64(g0) + g1


@kernel
def zinb_rows(
    rates, slope, floor, indptr, indices, values, log_size, theta, inverse, codes, weights, wanted,
    by_mean, work, double, order, value, d_size, d_bias, d_theta, dropout, log, chance, d_dropout_bias,
):  # fmt: skip
    """Zero-inflated NB: logits in ``rates`` and ``dropout`` (cells, genes) become their derivatives."""
    n_genes = rates.shape[1]
    for i in range(rates.shape[0]):
        place, x = indices[indptr[i] : indptr[i + 1]], values[indptr[i] : indptr[i + 1]]
        row, logit = row_part(rates, i, 0, n_genes), row_part(dropout, i, 0, n_genes)
        code, weight = codes[i], weights[i]
        total = rates_of(rates, slope, floor, i)
        size = math.exp(np.float64(log_size[i]))
        factor = size / total
        high, low = split(factor)
        th, inv = row_part(theta, code, 0, n_genes), row_part(inverse, code, 0, n_genes)
        by_theta = row_part(d_theta, code, 0, n_genes)
        _take(row, place, high, work[0])
        gather(logit, place, work[6])
        v, g = 0.0, 0.0
        for start in range(0, n_genes, CHUNK):
            stop = min(start + CHUNK, n_genes)
            lo, ch = part(log, 0, stop - start), part(chance, 0, stop - start)
            thetas, inverses = part(th, start, stop), part(inv, start, stop)
            means, terms = part(row, start, stop), part(by_mean, start, stop)
            _zinb_logs(means, high, low, thetas, inverses, lo, terms)
            v += np.float64(_zinb_mixture(lo, thetas, part(logit, start, stop), ch, weight))
            g += np.float64(_zinb_derivatives(lo, ch, inverses, terms, part(by_theta, start, stop), weight))
        v1, g1 = _counts(x, place, th, inv, work, double, order)
        value[i] = v + v1 if math.isfinite(total) else np.nan
        if wanted:
            for k in range(x.size):
                row[place[k]] = work[0, k] / high
                logit[place[k]] = weight * work[6, k]
            for j in range(n_genes):
                d_dropout_bias[j] += logit[j]
            scatter(by_mean, place, work[2], F(1.0))
            scatter(by_theta, place, work[3], weight)
            d_size[i] = weight * (g + g1)
            finish(row, by_mean, factor, (g + g1) / size if size > 0.0 else 0.0, weight, d_bias)
