"""Loops that all count likelihoods share: exponentials of the logits, and what the non-zeros need.

Every gene of a cell is first treated as a zero, in float32 vectors summed up in chunks; then the non-zeros
add what they have beyond that. Indices are read as unsigned: numba looks whether others count from the end.
"""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import bits, from_bits, inner
from distaff.ops.kernels.vector_math import ONE_BITS, exp32, expm1_parts
from distaff.ops.kernels.views import part, row_part

__all__ = ["CHUNK", "finish", "gather", "rates_of", "scatter", "softmax_row", "split"]

F = np.float32
CHUNK = 512  # genes whose terms stay in the innermost cache and are added up in float32
MAGNITUDE = np.int32(0x7FFFFFFF)


@inner
def _largest(row):
    """Largest value, NaN if there is one above all: as integers floats have an order that vectors can use."""
    high = np.int32(-MAGNITUDE - 1)
    for j in range(row.size):
        i = bits(row[j])
        high = max(high, np.int32(i ^ ((i >> np.int32(31)) & MAGNITUDE)))
    return from_bits(np.int32(high ^ ((high >> np.int32(31)) & MAGNITUDE)))


@inner
def _exp_part(row, high):
    part = F(0.0)
    for j in range(row.size):
        value = exp32(row[j] - high)
        row[j] = value
        part += value
    return part


@inner
def softmax_row(row):
    """``row`` to ``exp(row - its largest)``; returns the sum."""
    high = _largest(row)
    total = 0.0
    for start in range(0, row.size, CHUNK):
        total += np.float64(_exp_part(part(row, start, min(start + CHUNK, row.size)), high))
    return total


@inner
def _additive_row(row, slope, floor):
    """``row`` a to ``(expm1(a) + floor) exp(slope)``, scaled; returns the sum.

    ``slope`` becomes the derivative of the logits by a, ``exp(a) / (expm1(a) + floor)``.
    """
    floor = F(floor)
    shift, high = expm1_parts(_largest(row))[0], _largest(slope)
    unit = from_bits(np.int32((max(-shift, np.int32(-126)) << np.int32(23)) + ONE_BITS))
    total = 0.0
    for j in range(row.size):
        k, p = expm1_parts(row[j])
        k = max(np.int32(k - shift), np.int32(-126))
        power = from_bits(np.int32((k << np.int32(23)) + ONE_BITS))
        rate = power * p + ((power - unit) + floor * unit)
        value = rate * exp32(slope[j] - high)
        slope[j] = (power + power * p) / rate
        row[j] = value
        total += np.float64(value)
    return total


@inner
def rates_of(logits, slope, floor, i):
    """Turn a cell's ``logits`` into rates up to a factor, and return their sum; ``slope`` may be empty."""
    row = row_part(logits, i, 0, logits.shape[1])
    if slope.shape[0]:
        return _additive_row(row, row_part(slope, i, 0, slope.shape[1]), floor)
    return softmax_row(row)


@inner
def split(factor):
    """Two float32 whose sum is ``factor``: a rounded one would bias all means of the cell alike."""
    high = F(factor)
    return high, F(factor - np.float64(high))


@inner
def gather(source, indices, taken):
    """``taken = source[indices]``."""
    for k in range(indices.size):
        taken[k] = source[np.uint32(indices[k])]


@inner
def scatter(target, indices, terms, weight):
    """Add ``weight * terms`` to ``target`` at distinct ``indices``."""
    for k in range(indices.size):
        target[np.uint32(indices[k])] += weight * terms[k]


@inner
def finish(rates, by_mean, factor, share, weight, by_bias):
    """``rates`` to the derivatives by the logits, from those by the log means; adds them to ``by_bias``."""
    shared, weight = F(weight * factor * share), F(weight)
    for j in range(rates.size):
        g = weight * by_mean[j] - shared * rates[j]
        rates[j] = g
        by_bias[j] += g
