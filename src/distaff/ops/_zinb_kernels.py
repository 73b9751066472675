"""Loops of the zero-inflated negative binomial log-likelihood."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from distaff.ops._compile import kernel
from distaff.ops._nb_kernels import EPS, gather, nb_counts, scatter
from distaff.ops._row_kernels import CHUNK, finish, put, scale, take
from distaff.ops._vector_math import log1p32, sigmoid_parts

__all__ = ["zinb_rows"]

F = np.float32


@kernel
def _zinb_logs(mean, theta, inverse, log, share):
    for j in range(mean.size):
        r = mean[j] * inverse[j]
        th = theta[j] + F(EPS)
        d = F(1.0) / (th + mean[j])
        log[j] = log1p32(r, F(1.0) + r, th * d)
        share[j] = mean[j] * d


@kernel
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
        u = F(1.0) + r
        value += max(w, min(pi, F(0.0))) + log1p32(r, u, F(1.0) / u)
        from_counts = q1 if y > F(0.0) else e1 * q1
        chance[j] = from_counts
        logit[j] = weight * ((q2 if pi < F(0.0) else e2 * q2) - from_counts)
    return value


@kernel
def _zinb_derivative(theta, share, chance, derivative):
    total = 0.0
    for j in range(theta.size):
        g = -theta[j] * share[j] * chance[j]
        derivative[j] = g
        total += np.float64(g)
    return total


@kernel
def _zinb_theta(theta, inverse, log, share, chance, d_theta, weight):
    for j in range(theta.size):
        slope = theta[j] * inverse[j] * share[j] - log[j]
        d_theta[j] += np.float64(weight * chance[j] * slope)


@kernel
def _zinb_zeros(mean, theta, inverse, logit, derivative, d_theta, weight, scratch):
    """Terms of zero counts and their derivatives, a chunk of genes at a time."""
    value, total = 0.0, 0.0
    for start in range(0, mean.size, CHUNK):
        end = min(start + CHUNK, mean.size)
        n = end - start
        th, inv = theta[start:end], inverse[start:end]
        log, share, chance = scratch[0, :n], scratch[1, :n], scratch[2, :n]
        _zinb_logs(mean[start:end], th, inv, log, share)
        value += np.float64(_zinb_mixture(log, th, logit[start:end], chance, weight))
        total += _zinb_derivative(th, share, chance, derivative[start:end])
        _zinb_theta(th, inv, log, share, chance, d_theta[start:end], weight)
    return value, total


@kernel
def _dropout_counts(logit):
    """Log chance of no further zero, -softplus(logit), of the non-zeros; ``logit`` -> derivative."""
    value = 0.0
    for k in range(logit.size):
        pi = F(logit[k])
        e, q = sigmoid_parts(pi)
        value -= np.float64(max(pi, F(0.0)) + log1p32(e, F(1.0) + e, q))
        logit[k] = -np.float64(e * q if pi < F(0.0) else q)
    return value


@kernel
def zinb_rows(
    rates, total, indptr, indices, values, log_size, theta, inverse, terms, codes, weights,
    mean, work, value, d_size, d_theta, dropout, scratch,
):  # fmt: skip
    """Zero-inflated NB: ``rates`` and ``dropout`` logits (cells, genes) become the derivatives."""
    for i in range(rates.shape[0]):
        begin, end = indptr[i], indptr[i + 1]
        place, x = indices[begin:end], values[begin:end]
        n = end - begin
        mu, by_mean, by_theta, pi = work[0, :n], work[1, :n], work[2, :n], work[6, :n]
        code, weight = codes[i], weights[i]
        size = math.exp(np.float64(log_size[i]))
        scale(rates[i], size / total[i], mean)
        take(mean, place, mu)
        gather(dropout[i], place, pi)
        v0, g0 = _zinb_zeros(
            mean, theta[code], inverse[code], dropout[i], rates[i], d_theta[code], F(weight), scratch
        )
        v1, g1 = nb_counts(x, place, theta[code], terms[code], work)
        v2 = _dropout_counts(pi)
        put(mean, place, mu, rates[i], by_mean)
        scatter(d_theta[code], place, by_theta, weight)
        for k in range(n):
            dropout[i, place[k]] = F(weight * pi[k])
        value[i] = v0 + v1 + v2 if math.isfinite(total[i]) else np.nan
        d_size[i] = finish(rates[i], mean, g0 + g1, size, weight)
