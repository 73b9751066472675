"""Affine map with few weights that are not zero, block by block of cells, with its gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distaff.ops.kernels.sparse_affine import sort_by_gene, sparse_affine, sparse_affine_back, turn
from distaff.ops.kernels.transpose16 import TILE
from distaff.ops.kernels.weighted_rows import WIDTH

__all__ = ["Pattern", "SparseAffine", "few_nonzeros"]

FEWEST_FACTORS = 32  # of fewer, a dense product costs less than to look for zeros
LARGEST_SHARE = 0.1  # of weights that are not zero: above, a dense product costs less
SAMPLE = 7  # each how many weights are looked at first
NONE = np.empty(0, np.float32)


class Pattern(NamedTuple):
    """Where a matrix (factors, genes) may be other than zero."""

    positions: np.ndarray  # int64 (entries,), in the flat matrix, rising: factor by factor
    starts: np.ndarray  # int64 (factors + 1,), where each factor begins
    genes: np.ndarray  # int32 (entries,)
    indptr: np.ndarray  # int64 (genes + 1,), where each gene begins in the order of genes
    factors: np.ndarray  # int32 (entries,), in the order of genes
    order: np.ndarray  # int64 (entries,), which position each of that order is

    @classmethod
    def of(cls, positions: np.ndarray, shape: tuple[int, int]) -> Pattern:
        """Pattern of these positions in a matrix of this shape."""
        n, (n_factors, n_genes) = positions.size, shape
        starts = np.searchsorted(positions, np.arange(n_factors + 1) * n_genes).astype(np.int64)
        genes = (positions % n_genes).astype(np.int32)
        by_gene = np.empty(n_genes + 1, np.int64), np.empty(n, np.int32), np.empty(n, np.int64)
        sort_by_gene(positions, *by_gene)
        return cls(positions, starts, genes, *by_gene)

    def is_sparse(self, n_factors: int) -> bool:
        """Whether a product by the pattern costs less than a dense one."""
        n_genes = self.indptr.size - 1
        return n_factors >= FEWEST_FACTORS and self.positions.size <= LARGEST_SHARE * n_factors * n_genes


def few_nonzeros(weight: Tensor) -> Pattern | None:
    """Pattern of a weight (factors, genes) with many factors and few values that are not zero, else None."""
    n_factors, n_genes = weight.shape
    if n_factors < FEWEST_FACTORS:
        return None
    values = weight.detach().numpy().reshape(-1)
    if np.count_nonzero(values[::SAMPLE]) > LARGEST_SHARE * values.size / SAMPLE:
        return None
    pattern = Pattern.of(np.flatnonzero(values != 0), (n_factors, n_genes))
    return pattern if pattern.is_sparse(n_factors) else None


class SparseAffine:
    """``features @ weight' + bias`` by blocks, and its gradients; only entries of a pattern are multiplied.

    Parameters
    ----------
    features
        Features (cells, factors).
    values
        Weights at the positions of the pattern, in their order.
    bias
        Bias (genes,), or None.
    pattern
        Where the weights (factors, genes) are not zero.
    everywhere
        Whether the gradient of weights outside of the pattern is wanted too.
    """

    def __init__(
        self, features: Tensor, values: np.ndarray, bias: Tensor | None, pattern: Pattern, *, everywhere: bool
    ) -> None:
        self.features, self.pattern, self.values = features.detach().contiguous(), pattern, values
        self.bias = NONE if bias is None else bias.detach().contiguous().numpy()
        self.d_features = torch.empty_like(self.features)
        shape = self.features.shape[1], pattern.indptr.size - 1
        self.d_weight = (torch.empty if len(features) else torch.zeros)(shape) if everywhere else None
        self.d_values = NONE if everywhere else np.zeros_like(values)

    def forward(self, cells: slice, out: Tensor) -> None:
        """Fill ``out`` (cells, genes) for some cells."""
        room = -(-len(out) // WIDTH) * WIDTH  # cells beyond the last are zero
        self.by_factor = torch.zeros(self.features.shape[1], room)
        self.by_factor[:, : len(out)] = self.features[cells].t()
        pattern, tile = self.pattern, torch.empty(TILE, room).numpy()
        entries = pattern.indptr, pattern.factors, self.values.take(pattern.order)
        sparse_affine(*entries, self.by_factor.numpy(), self.bias, tile, out.numpy())

    def backward(self, cells: slice, gradient: Tensor) -> None:
        """Add to the gradients, for the cells that came last."""
        (n_cells, n_genes), room = gradient.shape, self.by_factor.shape[1]
        by_gene = (torch.empty if n_cells == room else torch.zeros)(n_genes, room)
        turn(gradient.numpy(), by_gene.numpy())
        d_features = torch.empty_like(self.by_factor)
        entries = self.pattern.starts, self.pattern.genes, self.values
        sides = self.by_factor.numpy(), by_gene.numpy(), d_features.numpy()
        sparse_affine_back(*entries, *sides, self.d_values)
        self.d_features[cells] = d_features[:, :n_cells].t()
        if self.d_weight is not None:
            own = self.by_factor[:, :n_cells]
            self.d_weight.addmm_(own, gradient, beta=0.0 if cells.start == 0 else 1.0)

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """Gradients by features, and by weights (None unless wanted everywhere).

        Those by the weights of the pattern alone are in ``d_values``, in the order of its positions.
        """
        return self.d_features, None if self.d_weight is None else self.d_weight.t()
