"""Loops of a normal posterior: draw, divergence from a normal prior, and gradients."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel
from distaff.ops.kernels.vector_math import exp32, log32

__all__ = ["draw_normal", "draw_normal_back"]

F = np.float32
LARGEST = F(88.0)  # exp of more is no float32


@kernel
def draw_normal(loc, scale, floor, noise, prior_loc, prior_scale, draw, kl):
    """Draw from N(loc, exp(scale) + floor), and the KL in nats; flat arrays, ``scale`` becomes the deviation."""
    floor = F(floor)
    for j in range(loc.size):
        x = scale[j]
        x = LARGEST if x > LARGEST else x
        s = np.sqrt(exp32(x) + floor)
        scale[j] = s
        draw[j] = loc[j] + s * noise[j]
    for j in range(loc.size):
        ratio, distance = scale[j] / prior_scale[j], (loc[j] - prior_loc[j]) / prior_scale[j]
        square = ratio * ratio
        kl[j] = F(0.5) * (square + distance * distance - F(1.0) - log32(square))


@kernel
def draw_normal_back(d_draw, kl_weight, noise, loc, scale, floor, prior_loc, prior_scale, d_loc, d_log):
    """Gradients by mean and log variance of what a draw gets, plus ``kl_weight`` times that of the KL."""
    weight, floor = F(kl_weight), F(floor)
    for j in range(loc.size):
        inverse = F(1.0) / prior_scale[j]
        precision = inverse * inverse
        s = scale[j]
        d_loc[j] = d_draw[j] + weight * (loc[j] - prior_loc[j]) * precision
        d_scale = d_draw[j] * noise[j] + weight * (s * precision - F(1.0) / s)
        d_log[j] = d_scale * F(0.5) / s * (s * s - floor)
