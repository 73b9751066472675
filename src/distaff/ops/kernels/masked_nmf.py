"""Loops of multiplicative updates where most loadings are zero: of a count only its gene's factors are read.

Values lie gene by gene, as in CSC. So do loadings: those of gene j are ``loadings[starts[j]:starts[j + 1]]``,
of the ``factors`` there. Scores lie factor by factor, (factors, cells).
"""

from __future__ import annotations

import math

import numpy as np

from distaff.ops.kernels.compile import inner, kernel
from distaff.ops.kernels.views import part, row_part

__all__ = ["divergence", "update_loadings", "update_scores"]

F = np.float32
LEAST = F(np.finfo(np.float32).eps)  # of what is divided by


@inner
def _add_taken(row, cells, weight, out):
    for n in range(cells.size):
        out[n] += weight * row[cells[n]]


@inner
def _add_to(row, cells, weight, terms):
    for n in range(cells.size):
        row[cells[n]] += weight * terms[n]


@inner
def _dot_taken(row, cells, terms):
    total = F(0.0)
    for n in range(cells.size):
        total += terms[n] * row[cells[n]]
    return total


@inner
def _fit(cells, factors, loadings, first, last, scores, out):
    """What the factors of a gene give in its cells."""
    n_cells = scores.shape[1]
    for n in range(out.size):
        out[n] = F(0.0)
    for t in range(first, last):
        _add_taken(row_part(scores, factors[t], 0, n_cells), cells, loadings[t], out)
    for n in range(out.size):
        out[n] = max(out[n], LEAST)


@inner
def _divide(values, start, fitted):
    """``fitted`` to the values over it."""
    for n in range(fitted.size):
        fitted[n] = values[start + n] / fitted[n]


@kernel
def update_scores(indptr, indices, values, starts, factors, loadings, sums, scores):
    """One update of ``scores``; ``sums`` are those of the loadings of each factor."""
    n_factors, n_cells = scores.shape
    gain, buffer = np.zeros(scores.shape, F), np.empty(n_cells, F)
    for j in range(starts.size - 1):
        start, stop = indptr[j], indptr[j + 1]
        cells, ratio = part(indices, start, stop), part(buffer, 0, stop - start)
        _fit(cells, factors, loadings, starts[j], starts[j + 1], scores, ratio)
        _divide(values, start, ratio)
        for t in range(starts[j], starts[j + 1]):
            _add_to(row_part(gain, factors[t], 0, n_cells), cells, loadings[t], ratio)
    for k in range(n_factors):
        for i in range(n_cells):
            scores[k, i] *= gain[k, i] / sums[k]


@kernel
def update_loadings(indptr, indices, values, starts, factors, loadings, sums, scores):
    """One update of ``loadings``; ``sums`` are those of the scores of each factor."""
    n_cells = scores.shape[1]
    buffer = np.empty(n_cells, F)
    for j in range(starts.size - 1):
        start, stop = indptr[j], indptr[j + 1]
        cells, ratio = part(indices, start, stop), part(buffer, 0, stop - start)
        _fit(cells, factors, loadings, starts[j], starts[j + 1], scores, ratio)
        _divide(values, start, ratio)
        for t in range(starts[j], starts[j + 1]):
            k = factors[t]
            loadings[t] *= _dot_taken(row_part(scores, k, 0, n_cells), cells, ratio) / sums[k]


@kernel
def divergence(indptr, indices, values, starts, factors, loadings, scores):
    """Sum of x log(x / fitted) over what is not zero."""
    total, buffer = 0.0, np.empty(scores.shape[1], F)
    for j in range(starts.size - 1):
        start, stop = indptr[j], indptr[j + 1]
        cells, fitted = part(indices, start, stop), part(buffer, 0, stop - start)
        _fit(cells, factors, loadings, starts[j], starts[j + 1], scores, fitted)
        for n in range(fitted.size):
            x = np.float64(values[start + n])
            total += x * math.log(x / np.float64(fitted[n])) if x > 0.0 else 0.0
    return total
