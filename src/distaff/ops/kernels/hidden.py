"""Loops of batch norm, ReLU and dropout in one pass, and of their gradient."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel

__all__ = ["follow", "norm_relu", "norm_relu_back"]

F = np.float32


@inner
def _column_moments(y, mean, variance):
    """Mean and variance (over n) of each column, summed up in float64."""
    n, width = y.shape
    total, squares = np.zeros(width), np.zeros(width)
    for i in range(n):
        for c in range(width):
            total[c] += np.float64(y[i, c])
    for c in range(width):
        total[c] /= n
    for i in range(n):
        for c in range(width):
            d = np.float64(y[i, c]) - total[c]
            squares[c] += d * d
    for c in range(width):
        mean[c] = F(total[c])
        variance[c] = F(squares[c] / n)


@kernel
def norm_relu(y, gain, shift, eps, noise, rate, mean, variance, inverse, out):
    """Normalise ``y`` (cells, units) in place; ``out`` is what ReLU and dropout make of it.

    A unit is dropped where its ``noise``, uniform in [0, 1), is below ``rate``; empty noise drops none.
    """
    n, width = y.shape
    _column_moments(y, mean, variance)
    for c in range(width):
        inverse[c] = F(1.0) / np.sqrt(variance[c] + F(eps))
    scale, rate = F(1.0 / (1.0 - rate)), F(rate)
    for i in range(n):
        for c in range(width):
            h = (y[i, c] - mean[c]) * inverse[c]
            y[i, c] = h
            v = h * gain[c] + shift[c]
            out[i, c] = F(0.0) if v < F(0.0) else v  # NaN stays
        if noise.size:
            for c in range(width):
                out[i, c] *= F(0.0) if noise[i, c] < rate else scale


@kernel
def norm_relu_back(d_out, normalised, out, gain, inverse, rate, d_gain, d_shift, d_y):
    """Gradients by what was normalised, by gain and by shift; a unit with output 0 gets none."""
    n, width = out.shape
    scale = F(1.0 / (1.0 - rate))
    by_shift, by_gain = np.zeros(width), np.zeros(width)
    for i in range(n):
        for c in range(width):
            g = d_out[i, c] * scale if out[i, c] > F(0.0) else F(0.0)
            d_y[i, c] = g
            by_shift[c] += np.float64(g)
            by_gain[c] += np.float64(g * normalised[i, c])
    for c in range(width):
        d_shift[c], d_gain[c] = F(by_shift[c]), F(by_gain[c])
    for i in range(n):
        for c in range(width):
            common = d_shift[c] + normalised[i, c] * d_gain[c]
            d_y[i, c] = gain[c] * inverse[c] * (d_y[i, c] - common / F(n))


@kernel
def follow(running_mean, running_variance, mean, variance, momentum, unbiased):
    """Move running averages towards the moments of a minibatch; ``unbiased`` times its variance."""
    momentum, unbiased = F(momentum), F(unbiased)
    for c in range(mean.size):
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_variance[c] += momentum * (variance[c] * unbiased - running_variance[c])
