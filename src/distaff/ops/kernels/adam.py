"""Loops of Adam's step, alone and within the gradient of a layer on sparse rows."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel

__all__ = ["adam_at", "adam_flat", "adam_sparse_rows"]

F = np.float32


@kernel
def adam_flat(weight, gradient, first, second, rate, beta1, beta2, eps, decay, root):
    """Step of ``weight`` (n,); ``rate`` is over the bias of the first moment, ``root`` that of the second."""
    rate, one, two = F(rate), F(1.0 - beta1), F(1.0 - beta2)
    beta2, eps, decay, root = F(beta2), F(eps), F(decay), F(1.0 / root)
    for j in range(weight.size):
        g = gradient[j] + decay * weight[j]
        m = first[j] + one * (g - first[j])
        v = beta2 * second[j] + two * g * g
        first[j] = m
        second[j] = v
        weight[j] -= rate * m / (np.sqrt(v) * root + eps)


@kernel
def adam_at(positions, weight, gradient, first, second, rate, beta1, beta2, eps, decay, root):
    """Step of some entries of ``weight`` (n,); the others have no gradient, no moments and are 0."""
    rate, one, two = F(rate), F(1.0 - beta1), F(1.0 - beta2)
    beta2, eps, decay, root = F(beta2), F(eps), F(decay), F(1.0 / root)
    for p in range(positions.size):
        j = positions[p]
        g = gradient[p] + decay * weight[j]
        m = first[j] + one * (g - first[j])
        v = beta2 * second[j] + two * g * g
        first[j] = m
        second[j] = v
        weight[j] -= rate * m / (np.sqrt(v) * root + eps)


@kernel
def adam_sparse_rows(
    indptr, indices, values, source, weight, first, second, rate, beta1, beta2, eps, decay, root
):
    """Step of ``weight`` (rows, width), whose gradient ``csr @ source`` is made row by row."""
    gradient = np.empty(source.shape[1], F)
    for i in range(weight.shape[0]):
        gradient[:] = F(0.0)
        k = indptr[i]
        end = indptr[i + 1]
        while k + 3 < end:
            a0, a1, a2, a3 = values[k], values[k + 1], values[k + 2], values[k + 3]
            s0, s1 = source[indices[k]], source[indices[k + 1]]
            s2, s3 = source[indices[k + 2]], source[indices[k + 3]]
            for c in range(gradient.size):
                gradient[c] += (a0 * s0[c] + a1 * s1[c]) + (a2 * s2[c] + a3 * s3[c])
            k += 4
        while k < end:
            a0, s0 = values[k], source[indices[k]]
            for c in range(gradient.size):
                gradient[c] += a0 * s0[c]
            k += 1
        adam_flat(weight[i], gradient, first[i], second[i], rate, beta1, beta2, eps, decay, root)
