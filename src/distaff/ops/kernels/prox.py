"""Loops of the proximal operator of L1 plus group lasso in the metric of Adam's step."""

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.adam import adam_flat
from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.views import part

__all__ = ["adam_prox_rows", "prox_rows"]

F = np.float32
LANES = 16  # weights that are looked at together
CHUNK = 512  # weights whose step and first penalty are taken while they are in the innermost cache
NEWTON_STEPS = 32
TOLERANCE = 1e-9


@inner
def _drop_small(row, second, l1, root, eps, rate):
    """Set to zero what L1 brings to zero, ``|w| d <= l1`` with the metric d, without a root or a division."""
    for j in range(row.size):
        a = abs(row[j]) * rate
        left = l1[j] - a * eps
        right = (a * root) * (a * root) * second[j]
        small = (left >= F(0.0)) & (right <= left * left) & (l1[j] > F(0.0))  # NaN is not
        row[j] = F(0.0) if small else row[j]


@inner
def _nonzero(row, place):
    """Fill ``place`` with where ``row`` is not zero, and return how many these are."""
    n = 0
    for start in range(0, row.size, LANES):
        stop = min(start + LANES, row.size)
        if not _any(part(row, start, stop)):
            continue
        for j in range(start, stop):
            place[n] = j
            n += int(row[j] != F(0.0))
    return n


@inner
def _any(values):
    """Whether any value is not zero, as NaN is not."""
    found = np.int32(0)
    for j in range(values.size):
        found |= np.int32(values[j] != F(0.0))
    return found != np.int32(0)


@inner
def _solve(v, offset, n, r):
    """Root r of ``sum((v / (r + offset))^2) = 1``, climbed to from a lower bound by Newton's method."""
    for j in range(n):
        r = max(r, abs(v[j]) - offset[j])
    for _ in range(NEWTON_STEPS):
        total, slope = 0.0, 0.0
        for j in range(n):
            inverse = 1.0 / (r + offset[j])
            term = v[j] * inverse
            total += term * term
            slope += term * term * inverse
        if not slope > 0.0:
            break
        step = total * (math.sqrt(total) - 1.0) / slope
        if not step > TOLERANCE * r:
            break
        r += step
    return r


@inner
def _count(row, place, n):
    """How many of the values at the first ``n`` places are not zero."""
    count = 0
    for i in range(n):
        count += int(row[place[i]] != F(0.0))
    return count


@inner
def _prox_row(row, second, l1, strength, root, eps, rate, place, v, offset):
    """Penalties of a factor's weights that ``_drop_small`` has left; returns how many are not zero.

    ``place``, ``v`` and ``offset`` are scratch.
    """
    n = _nonzero(row, place)
    squares, largest = 0.0, 0.0
    for i in range(n):
        j = place[i]
        metric = (np.sqrt(second[j]) * root + eps) * rate
        t = l1[j] / metric
        x = row[j] - min(max(row[j], -t), t)
        row[j] = x
        d = np.float64(metric)
        squares += (d * x) * (d * x)
        largest = max(largest, d)
        v[i], offset[i] = np.float64(x), d
    if strength == 0.0:
        return _count(row, place, n)
    norm = math.sqrt(squares)
    if norm <= strength:
        for i in range(n):
            row[place[i]] = F(0.0)
        return 0
    for i in range(n):
        offset[i] = strength / offset[i]
    r = _solve(v, offset, n, (norm - strength) / largest if math.isfinite(norm) else 0.0)
    for i in range(n):
        row[place[i]] = F(v[i] * (r / (r + offset[i])))
    return _count(row, place, n)


@kernel
def prox_rows(weight, second, l1, group, correction, eps, lr):
    """Apply the penalties to ``weight`` (factors, genes) in place.

    ``second`` is Adam's second moment (factors, genes), ``correction`` what it is divided by; the metric is
    ``(sqrt(second / correction) + eps) / lr``. ``l1`` (factors, genes) and ``group`` (factors,) are the
    weights of the penalties.
    """
    n_genes = weight.shape[1]
    scratch = np.empty(n_genes, np.int32), np.empty(n_genes), np.empty(n_genes)
    constants = F(math.sqrt(1.0 / correction)), F(eps), F(1.0 / lr)
    for k in range(weight.shape[0]):
        _drop_small(weight[k], second[k], l1[k], *constants)
        _prox_row(weight[k], second[k], l1[k], np.float64(group[k]), *constants, *scratch)


@kernel
def adam_prox_rows(
    starts, weight, gradient, first, second, rate, beta1, beta2, eps, decay, root, l1, group, lr
):
    """Adam's step and then the penalties, factor by factor; returns how many weights are not zero.

    All of a factor's entries are neighbours in the flat arrays, from ``starts[k]`` up to ``starts[k + 1]``.
    """
    most = 0
    for k in range(group.size):
        most = max(most, starts[k + 1] - starts[k])
    scratch = np.empty(most, np.int32), np.empty(most), np.empty(most)
    constants = F(1.0 / root), F(eps), F(1.0 / lr)
    n = 0
    for k in range(group.size):
        begin, end = starts[k], starts[k + 1]
        for start in range(begin, end, CHUNK):
            stop = min(start + CHUNK, end)
            row, moment = part(weight, start, stop), part(second, start, stop)
            g, mean = part(gradient, start, stop), part(first, start, stop)
            adam_flat(row, g, mean, moment, rate, beta1, beta2, eps, decay, root)
            _drop_small(row, moment, part(l1, start, stop), *constants)
        row, moment, own = part(weight, begin, end), part(second, begin, end), part(l1, begin, end)
        n += _prox_row(row, moment, own, np.float64(group[k]), *constants, *scratch)
    return n
