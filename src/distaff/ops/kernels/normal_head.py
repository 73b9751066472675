"""Loops of a normal posterior that is read from hidden units: draw, divergence and gradients."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import kernel

__all__ = ["normal_head", "normal_head_back"]

F = np.float32


@kernel
def _dot(a, b):
    total = F(0.0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@kernel
def normal_head(h, w_loc, b_loc, w_var, b_var, floor, noise, prior_loc, prior_scale, loc, scale, draw, kl):
    """Mean, standard deviation, draw and KL in nats (cells, dimensions) from units ``h`` (cells, units)."""
    for i in range(h.shape[0]):
        for k in range(loc.shape[1]):
            m = b_loc[k] + _dot(h[i], w_loc[k])
            v = math.exp(np.float64(b_var[k] + _dot(h[i], w_var[k]))) + floor
            s = F(math.sqrt(v))
            ratio, distance = s / prior_scale[i, k], (m - prior_loc[i, k]) / prior_scale[i, k]
            loc[i, k], scale[i, k] = m, s
            draw[i, k] = m + s * noise[i, k]
            square = np.float64(ratio * ratio)
            kl[i, k] = F(0.5 * (square + np.float64(distance * distance) - 1.0 - math.log(square)))


@kernel
def normal_head_back(
    d_draw, kl_weight, noise, loc, scale, floor, prior_loc, prior_scale, h, w_loc, w_var,
    d_h, d_w_loc, d_b_loc, d_w_var, d_b_var,
):  # fmt: skip
    """Gradients by units, weights and biases of what a draw gets, plus ``kl_weight`` times the KL."""
    n, width = h.shape
    d_w_loc[:] = F(0.0)
    d_w_var[:] = F(0.0)
    d_b_loc[:] = F(0.0)
    d_b_var[:] = F(0.0)
    for i in range(n):
        for c in range(width):
            d_h[i, c] = F(0.0)
        for k in range(loc.shape[1]):
            s, p = scale[i, k], prior_scale[i, k]
            d_loc = d_draw[i, k] + kl_weight * (loc[i, k] - prior_loc[i, k]) / (p * p)
            d_scale = d_draw[i, k] * noise[i, k] + kl_weight * (s / (p * p) - F(1.0) / s)
            d_log = d_scale * F(0.5) / s * (s * s - F(floor))
            d_b_loc[k] += d_loc
            d_b_var[k] += d_log
            for c in range(width):
                d_h[i, c] += d_loc * w_loc[k, c] + d_log * w_var[k, c]
            for c in range(width):
                d_w_loc[k, c] += d_loc * h[i, c]
            for c in range(width):
                d_w_var[k, c] += d_log * h[i, c]
