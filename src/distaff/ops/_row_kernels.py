"""Loops that all count likelihoods share: exponentials of the logits, and what moves the non-zeros.

What a zero count needs is computed for all genes in float32 vectors; the non-zeros have the mean 0 there, of
which every term is 0, and get their full terms in float64.
"""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops._compile import from_bits, kernel
from distaff.ops._vector_math import ONE_BITS, exp32, expm1_parts

__all__ = ["CHUNK", "additive_exp", "finish", "put", "scale", "softmax_exp", "take"]

F = np.float32
CHUNK = 512  # genes whose terms stay in the innermost cache and are added up in float32


@kernel
def softmax_exp(logits, top, total):
    """``logits`` (cells, genes) to ``exp(logits - top)``, and its sum over genes."""
    n_cells, n_genes = logits.shape
    for i in range(n_cells):
        row = logits[i]
        high = top[i]
        part = 0.0
        for j in range(n_genes):
            value = exp32(row[j] - high)
            row[j] = value
            part += np.float64(value)
        total[i] = part


@kernel
def additive_exp(activity, offset, top, top_offset, floor, total):
    """``activity`` a to ``(expm1(a) + floor) exp(offset)``, scaled for each cell, and its sum over genes.

    ``offset`` becomes the derivative of the logits by a, ``exp(a) / (expm1(a) + floor)``.
    """
    n_cells, n_genes = activity.shape
    floor = F(floor)
    for i in range(n_cells):
        row, slope = activity[i], offset[i]
        shift, high = expm1_parts(top[i])[0], top_offset[i]
        unit = from_bits(np.int32((max(-shift, np.int32(-126)) << np.int32(23)) + ONE_BITS))
        part = 0.0
        for j in range(n_genes):
            k, p = expm1_parts(row[j])
            k = max(np.int32(k - shift), np.int32(-126))
            power = from_bits(np.int32((k << np.int32(23)) + ONE_BITS))
            rate = power * p + ((power - unit) + floor * unit)
            value = rate * exp32(slope[j] - high)
            slope[j] = (power + power * p) / rate
            row[j] = value
            part += np.float64(value)
        total[i] = part


@kernel
def scale(rates, factor, mean):
    """``mean = rates * factor``; a rounded factor would bias all means of the cell alike."""
    high = F(factor)
    low = F(factor - np.float64(high))
    for j in range(mean.size):
        mean[j] = rates[j] * low + rates[j] * high


@kernel
def take(mean, indices, taken):
    """Move the means of the non-zeros to ``taken``; they are 0 in ``mean`` then."""
    for k in range(indices.size):
        taken[k] = mean[indices[k]]
        mean[indices[k]] = F(0.0)


@kernel
def put(mean, indices, taken, derivative, by_mean):
    """Move the means of the non-zeros back, and the derivatives by their logarithms to ``derivative``."""
    for k in range(indices.size):
        mean[indices[k]] = F(taken[k])
        derivative[indices[k]] = F(by_mean[k])


@kernel
def _through_softmax(derivative, mean, share, weight):
    """Derivatives by the log means to derivatives by the logits, times the weight of the cell."""
    for j in range(mean.size):
        derivative[j] = weight * (derivative[j] - mean[j] * share)


@kernel
def finish(derivative, mean, total, size, weight):
    share = F(total / size) if size > 0.0 else F(0.0)
    _through_softmax(derivative, mean, share, F(weight))
    return weight * total
