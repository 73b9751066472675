"""Loops of the mean and the log variance of a posterior, linear maps from many units to a few dimensions."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.narrow import add_product, times_transposed

__all__ = ["heads", "heads_back"]

F = np.float32


@kernel
def heads(units, weight_1, bias_1, weight_2, bias_2, out_1, out_2):
    """``out = units @ weight.T + bias`` of two heads; units (cells, units), weights (dimensions, units)."""
    times_transposed(units, weight_1, out_1)
    times_transposed(units, weight_2, out_2)
    for i in range(units.shape[0]):
        for k in range(bias_1.size):
            out_1[i, k] += bias_1[k]
            out_2[i, k] += bias_2[k]


@inner
def _head_back(gradient, units, weight, turned, d_units, d_weight, d_bias):
    n_cells, n_dimensions = gradient.shape
    add_product(gradient, weight, d_units, n_dimensions)
    for k in range(n_dimensions):
        total = 0.0
        for i in range(n_cells):
            turned[k, i] = gradient[i, k]
            total += np.float64(gradient[i, k])
        d_bias[k] = F(total)
    add_product(turned, units, d_weight, n_cells)


@kernel
def heads_back(
    gradient_1, gradient_2, units, weight_1, weight_2, d_units, d_weight_1, d_bias_1, d_weight_2, d_bias_2
):
    """Gradients of two heads from those by their output; ``d_units`` and those of weights begin as zeros."""
    turned = np.empty(gradient_1.shape[::-1], F)
    _head_back(gradient_1, units, weight_1, turned, d_units, d_weight_1, d_bias_1)
    _head_back(gradient_2, units, weight_2, turned, d_units, d_weight_2, d_bias_2)
