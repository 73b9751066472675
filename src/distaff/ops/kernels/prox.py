"""Loops of the proximal operator of L1 plus group lasso in the metric of Adam's step."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import kernel

__all__ = ["prox_rows"]

F = np.float32
NEWTON_STEPS = 32
TOLERANCE = 1e-9


@kernel
def _threshold(row, second, l1, metric, root, eps, rate):
    """Soft thresholds of a factor's weights; fills their metric and returns the squared norm in it."""
    norm = F(0.0)
    for j in range(row.size):
        d = (np.sqrt(second[j]) * root + eps) * rate
        v, t = row[j], l1[j] / d
        x = v - min(max(v, -t), t)
        metric[j] = d
        row[j] = x
        norm += (d * x) * (d * x)
    return norm


@kernel
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


@kernel
def prox_rows(weight, second, l1, group, correction, eps, lr):
    """Apply the penalties to ``weight`` (factors, genes) in place.

    ``second`` is Adam's second moment (factors, genes), ``correction`` what its bias is divided by; the metric
    is ``(sqrt(second / correction) + eps) / lr``. ``l1`` (factors, genes) and ``group`` (factors,) are the
    weights of the penalties.
    """
    n_genes = weight.shape[1]
    metric, v, offset = np.empty(n_genes, F), np.empty(n_genes), np.empty(n_genes)
    place = np.empty(n_genes, np.int32)
    root, rate, eps = F(math.sqrt(1.0 / correction)), F(1.0 / lr), F(eps)
    for k in range(weight.shape[0]):
        row, strength = weight[k], np.float64(group[k])
        norm = math.sqrt(np.float64(_threshold(row, second[k], l1[k], metric, root, eps, rate)))
        if strength == 0.0:
            continue
        if norm <= strength:
            row[:] = F(0.0)
            continue
        n, largest = 0, 0.0
        for j in range(n_genes):
            place[n] = j
            n += int(row[j] != F(0.0))
        for i in range(n):
            d = np.float64(metric[place[i]])
            v[i], offset[i] = np.float64(row[place[i]]), strength / d
            largest = max(largest, d)
        r = _solve(v, offset, n, (norm - strength) / largest if math.isfinite(norm) else 0.0)
        for i in range(n):
            row[place[i]] = F(v[i] * (r / (r + offset[i])))
