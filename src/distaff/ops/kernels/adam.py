"""Loops of Adam's step, alone and within the gradient of a layer on sparse rows."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import helper, kernel
from distaff.ops.kernels.sparse_rows import gather_row
from distaff.ops.kernels.views import prefetch_row, row_part

__all__ = ["adam_flat", "adam_sparse_rows"]

F = np.float32
AHEAD = 2  # rows that are asked for before their turn: those of an encoder are in no near cache


@helper
def _step(w, g, m, v, rate, one, beta2, two, eps, decay, root):
    """Weight and moments after a step with the gradient ``g``."""
    g = g + decay * w
    m = m + one * (g - m)
    v = beta2 * v + two * g * g
    return w - rate * m / (np.sqrt(v) * root + eps), m, v


@kernel
def adam_flat(weight, gradient, first, second, rate, beta1, beta2, eps, decay, root):
    """Step of ``weight`` (n,); ``rate`` is over the bias of the first moment, ``root`` that of the second."""
    one, two = F(1.0 - beta1), F(1.0 - beta2)
    rate, beta2, eps, decay, root = F(rate), F(beta2), F(eps), F(decay), F(1.0 / root)
    for j in range(weight.size):
        weight[j], first[j], second[j] = _step(
            weight[j], gradient[j], first[j], second[j], rate, one, beta2, two, eps, decay, root
        )


@kernel
def adam_sparse_rows(
    indptr, indices, values, source, weight, first, second, rate, beta1, beta2, eps, decay, root
):
    """Step of ``weight`` (rows, width), whose gradient ``csr @ source`` is made row by row."""
    width = source.shape[1]
    gradient = np.empty(width, F)
    for i in range(weight.shape[0]):
        prefetch_row(weight, i + AHEAD)
        prefetch_row(first, i + AHEAD)
        prefetch_row(second, i + AHEAD)
        gather_row(indices, values, source, gradient, indptr[i], indptr[i + 1])
        own, m, v = row_part(weight, i, 0, width), row_part(first, i, 0, width), row_part(second, i, 0, width)
        adam_flat(own, gradient, m, v, rate, beta1, beta2, eps, decay, root)
