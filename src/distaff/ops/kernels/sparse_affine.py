"""Loops of an affine map whose weights are mostly zero, on several cells at once."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel

__all__ = ["sort_by_gene", "sparse_affine", "sparse_affine_back"]

F = np.float32
TILE = 16  # genes whose values fill a line of the cache


@kernel
def sort_by_gene(positions, indptr, factors, order):
    """Sort positions in a matrix (factors, genes), given in rising order, by gene.

    ``indptr`` (genes + 1,) says where each gene begins; ``factors`` are theirs, ``order`` where each was.
    """
    n_genes = indptr.size - 1
    indptr[:] = 0
    for p in range(positions.size):
        indptr[positions[p] % n_genes + 1] += 1
    for j in range(n_genes):
        indptr[j + 1] += indptr[j]
    place = indptr[:n_genes].copy()
    for p in range(positions.size):
        j = positions[p] % n_genes
        factors[place[j]] = positions[p] // n_genes
        order[place[j]] = p
        place[j] += 1


@kernel
def sparse_affine(indptr, factors, values, features, bias, tile, out):
    """Fill ``out`` (cells, genes) from ``features`` (factors, cells); ``tile`` is scratch (16, cells)."""
    n_cells, n_genes = out.shape
    for start in range(0, n_genes, TILE):
        width = min(TILE, n_genes - start)
        for t in range(width):
            b = bias[start + t] if bias.size else F(0.0)
            for i in range(n_cells):
                tile[t, i] = b
            for p in range(indptr[start + t], indptr[start + t + 1]):
                k, value = factors[p], values[p]
                for i in range(n_cells):
                    tile[t, i] += value * features[k, i]
        for i in range(n_cells):
            for t in range(width):
                out[i, start + t] = tile[t, i]


@kernel
def sparse_affine_back(indptr, factors, values, features, gradient, tile, d_features, d_values):
    """Fill ``d_features`` (factors, cells), and add to ``d_values`` unless it is empty."""
    n_cells, n_genes = gradient.shape
    d_features[:] = F(0.0)
    for start in range(0, n_genes, TILE):
        width = min(TILE, n_genes - start)
        for i in range(n_cells):
            for t in range(width):
                tile[t, i] = gradient[i, start + t]
        for t in range(width):
            for p in range(indptr[start + t], indptr[start + t + 1]):
                k, value = factors[p], values[p]
                for i in range(n_cells):
                    d_features[k, i] += value * tile[t, i]
                if d_values.size:
                    total = F(0.0)
                    for i in range(n_cells):
                        total += features[k, i] * tile[t, i]
                    d_values[p] += total
