"""Loops that all count likelihoods share: exponentials of the logits, and what the non-zeros need.

Every gene of a cell is first treated as a zero, in float32 vectors summed up in chunks; then the non-zeros
add what they have beyond that.
"""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import bits, from_bits, kernel
from distaff.ops.kernels.vector_math import ONE_BITS, exp32, expm1_parts

__all__ = ["CHUNK", "add_columns", "additive_exp", "finish", "gather", "scatter", "softmax_exp", "split"]

F = np.float32
CHUNK = 512  # genes whose terms stay in the innermost cache and are added up in float32
MAGNITUDE = np.int32(0x7FFFFFFF)


@kernel
def _largest(row):
    """Largest value, NaN if there is one above all: as integers floats have an order that vectors can use."""
    high = np.int32(-MAGNITUDE - 1)
    for j in range(row.size):
        i = bits(row[j])
        high = max(high, np.int32(i ^ ((i >> np.int32(31)) & MAGNITUDE)))
    return from_bits(np.int32(high ^ ((high >> np.int32(31)) & MAGNITUDE)))


@kernel
def _exp_part(row, high):
    part = F(0.0)
    for j in range(row.size):
        value = exp32(row[j] - high)
        row[j] = value
        part += value
    return part


@kernel
def softmax_exp(logits, total):
    """``logits`` (cells, genes) to ``exp(logits - top)`` of each cell's top, and its sum over genes."""
    n_cells, n_genes = logits.shape
    for i in range(n_cells):
        row = logits[i]
        high = _largest(row)
        sum_ = 0.0
        for start in range(0, n_genes, CHUNK):
            sum_ += np.float64(_exp_part(row[start : start + CHUNK], high))
        total[i] = sum_


@kernel
def additive_exp(activity, offset, floor, total):
    """``activity`` a to ``(expm1(a) + floor) exp(offset)``, scaled for each cell, and its sum over genes.

    ``offset`` becomes the derivative of the logits by a, ``exp(a) / (expm1(a) + floor)``.
    """
    n_cells, n_genes = activity.shape
    floor = F(floor)
    for i in range(n_cells):
        row, slope = activity[i], offset[i]
        shift, high = expm1_parts(_largest(row))[0], _largest(slope)
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
def split(factor):
    """Two float32 whose sum is ``factor``: a rounded one would bias all means of the cell alike."""
    high = F(factor)
    return high, F(factor - np.float64(high))


@kernel
def gather(source, indices, taken):
    for k in range(indices.size):
        taken[k] = source[indices[k]]


@kernel
def scatter(target, indices, terms, weight):
    for k in range(indices.size):
        target[indices[k]] += weight * terms[k]


@kernel
def finish(rates, by_mean, factor, share, weight):
    """``rates`` to the derivatives by the logits, from those by the log means."""
    part, weight = F(weight * factor * share), F(weight)
    for j in range(rates.size):
        rates[j] = weight * by_mean[j] - part * rates[j]


@kernel
def add_columns(terms, total):
    """Add the sum of each column of ``terms`` (cells, genes) to ``total`` in float64."""
    for i in range(terms.shape[0]):
        for j in range(total.size):
            total[j] += np.float64(terms[i, j])
