"""Loops of the batch norm of a linear map, from the moments of its few features."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import inner, kernel

__all__ = ["fold", "fold_back"]

F = np.float32


@inner
def _moments(x, mean, centred, covariance):
    n, width = x.shape
    for k in range(width):
        total = 0.0
        for i in range(n):
            total += np.float64(x[i, k])
        mean[k] = F(total / n)
        for i in range(n):
            centred[k, i] = x[i, k] - mean[k]
    for k in range(width):
        for m in range(k + 1):
            total = 0.0
            for i in range(n):
                total += np.float64(centred[k, i] * centred[m, i])
            covariance[k, m] = covariance[m, k] = F(total / n)


@kernel
def fold(x, weight, gain, shift, eps, mean_x, centred, by_covariance, mean, variance, out, bias):
    """Folded ``out`` and ``bias``; weights (features, outputs), ``centred`` (features, cells)."""
    width, n_out = weight.shape
    covariance = np.empty((width, width), F)
    _moments(x, mean_x, centred, covariance)
    mean[:] = F(0.0)
    variance[:] = F(0.0)
    by_covariance[:] = F(0.0)
    for k in range(width):
        for m in range(width):
            c = covariance[k, m]
            for j in range(n_out):
                by_covariance[k, j] += c * weight[m, j]
        c = mean_x[k]
        for j in range(n_out):
            mean[j] += c * weight[k, j]
            variance[j] += by_covariance[k, j] * weight[k, j]
    for j in range(n_out):
        scale = gain[j] / np.sqrt(variance[j] + F(eps))
        bias[j] = shift[j] - mean[j] * scale
    for k in range(width):
        for j in range(n_out):
            out[k, j] = weight[k, j] * (gain[j] / np.sqrt(variance[j] + F(eps)))


@kernel
def fold_back(
    d_out, d_bias, weight, gain, eps, mean_x, centred, by_covariance, mean, variance, d_x, d_weight, d_gain
):
    """Gradients by features, weights and gain; that by the shift is ``d_bias``."""
    width, n_out = weight.shape
    inverse, d_variance = np.empty(n_out, F), np.zeros(n_out, F)
    for j in range(n_out):
        inverse[j] = F(1.0) / np.sqrt(variance[j] + F(eps))
        d_gain[j] = -d_bias[j] * mean[j]
    for k in range(width):
        for j in range(n_out):
            d_gain[j] += d_out[k, j] * weight[k, j]
    for j in range(n_out):
        d_variance[j] = d_gain[j] * gain[j] * inverse[j] * inverse[j] * inverse[j] * F(-0.5)
        d_gain[j] *= inverse[j]
    d_mean_x, d_covariance = np.empty(width, F), np.empty((width, width), F)
    for k in range(width):
        a = mean_x[k]
        total = F(0.0)
        for j in range(n_out):
            scale = gain[j] * inverse[j]
            d_mean = -d_bias[j] * scale
            total += weight[k, j] * d_mean
            d_weight[k, j] = d_out[k, j] * scale + F(2.0) * by_covariance[k, j] * d_variance[j] + d_mean * a
        d_mean_x[k] = total
        for m in range(k + 1):
            total = F(0.0)
            for j in range(n_out):
                total += weight[k, j] * d_variance[j] * weight[m, j]
            d_covariance[k, m] = d_covariance[m, k] = total
    n = d_x.shape[0]
    for i in range(n):
        for k in range(width):
            total = d_mean_x[k]
            for m in range(width):
                total += F(2.0) * centred[m, i] * d_covariance[m, k]
            d_x[i, k] = total / F(n)
