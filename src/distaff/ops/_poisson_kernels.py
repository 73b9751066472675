"""Loops of the Poisson log-likelihood."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from distaff.ops._compile import kernel
from distaff.ops._nb_kernels import log_factorials
from distaff.ops._row_kernels import CHUNK, finish, put, scale, take
from distaff.ops._vector_math import log64

__all__ = ["poisson_rows"]

F = np.float32
SMALLEST_RATE = 1e-8  # a softmax underflows to 0, of which the log of a Poisson rate is minus infinity


@kernel
def _poisson_zeros(mean, derivative):
    """Terms of zero counts, minus the rate, and their derivatives."""
    value, total = 0.0, 0.0
    for start in range(0, mean.size, CHUNK):
        part = F(0.0)
        for j in range(start, min(start + CHUNK, mean.size)):
            low = mean[j] < F(SMALLEST_RATE)
            g = F(0.0) if low else -mean[j]
            part -= F(SMALLEST_RATE) if low else mean[j]
            total += np.float64(g)
            derivative[j] = g
        value += np.float64(part)
    return value, total


@kernel
def _poisson_counts(x, mean, by_mean):
    """Full terms of the given counts and their derivatives by the log mean."""
    value, total = 0.0, 0.0
    for k in range(x.size):
        count, low = np.float64(x[k]), mean[k] < SMALLEST_RATE
        rate = SMALLEST_RATE if low else mean[k]
        # the loop over zeros took the smallest rate off for this gene
        value += count * log64(rate) - (rate - SMALLEST_RATE)
        g = 0.0 if low else count - rate
        by_mean[k] = g
        total += g
    return value - log_factorials(x), total


@kernel
def poisson_rows(
    rates, total, indptr, indices, values, log_size, weights, mean, work, value, d_size,
):  # fmt: skip
    """Poisson: ``rates`` (cells, genes) become the derivatives by the logits."""
    for i in range(rates.shape[0]):
        begin, end = indptr[i], indptr[i + 1]
        place, x = indices[begin:end], values[begin:end]
        mu, by_mean = work[0, : end - begin], work[1, : end - begin]
        size = math.exp(np.float64(log_size[i]))
        scale(rates[i], size / total[i], mean)
        take(mean, place, mu)
        v0, g0 = _poisson_zeros(mean, rates[i])
        v1, g1 = _poisson_counts(x, mu, by_mean)
        put(mean, place, mu, rates[i], by_mean)
        value[i] = v0 + v1 if math.isfinite(total[i]) else np.nan
        d_size[i] = finish(rates[i], mean, g0 + g1, size, weights[i])
