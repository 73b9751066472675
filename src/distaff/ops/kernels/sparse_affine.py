"""Loops of an affine map whose weights are mostly zero, on several cells at once."""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel
from distaff.ops.kernels.narrow import dot
from distaff.ops.kernels.sparse_rows import gather_row
from distaff.ops.kernels.transpose16 import TILE, transpose_tile
from distaff.ops.kernels.views import row_part

__all__ = ["sort_by_gene", "sparse_affine", "sparse_affine_back", "turn"]

F = np.float32


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
    """Fill ``out`` (cells, genes) from ``features`` (factors, room for cells); ``tile`` is (16, room)."""
    n_cells, n_genes = out.shape
    whole = n_cells - n_cells % TILE
    for start in range(0, n_genes, TILE):
        width = min(TILE, n_genes - start)
        for t in range(width):
            row = row_part(tile, t, 0, tile.shape[1])
            gather_row(factors, values, features, row, indptr[start + t], indptr[start + t + 1])
            if bias.size:
                b = bias[start + t]
                for i in range(row.size):
                    row[i] += b
        n_moved = whole if width == TILE else 0
        for i in range(0, n_moved, TILE):
            transpose_tile(tile, np.int64(0), np.int64(i), out, np.int64(i), np.int64(start))
        for i in range(n_moved, n_cells):
            for t in range(width):
                out[i, start + t] = tile[t, i]


@kernel
def turn(matrix, out):
    """Fill the first rows and columns of ``out`` with the transposed ``matrix``."""
    n_rows, n_columns = matrix.shape
    whole = n_rows - n_rows % TILE
    for j in range(0, n_columns, TILE):
        width = min(TILE, n_columns - j)
        n_moved = whole if width == TILE else 0
        for i in range(0, n_moved, TILE):
            transpose_tile(matrix, np.int64(i), np.int64(j), out, np.int64(j), np.int64(i))
        for i in range(n_moved, n_rows):
            for t in range(width):
                out[j + t, i] = matrix[i, j + t]


@kernel
def sparse_affine_back(starts, genes, values, features, gradient, d_features, d_values):
    """Fill ``d_features`` (factors, room for cells), and add to ``d_values`` unless it is empty.

    Entries are in the order of factors, which begin at ``starts``; ``gradient`` is (genes, room for cells).
    """
    room = features.shape[1]
    for k in range(features.shape[0]):
        gather_row(genes, values, gradient, row_part(d_features, k, 0, room), starts[k], starts[k + 1])
        if d_values.size:
            row = row_part(features, k, 0, room)
            for p in range(starts[k], starts[k + 1]):
                d_values[p] += dot(row, row_part(gradient, genes[p], 0, room))
