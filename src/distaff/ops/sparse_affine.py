"""Affine map with few weights that are not zero, block by block of cells, with its gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distaff.ops.kernels.rows import add_columns
from distaff.ops.kernels.sparse_affine import sort_by_gene, sparse_affine, sparse_affine_back

__all__ = ["Pattern", "SparseAffine", "few_nonzeros"]

FEWEST_FACTORS = 32  # of fewer, a dense product costs less than to look for zeros
LARGEST_SHARE = 0.1  # of weights that are not zero: above, a dense product costs less
SAMPLE = 7  # each how many weights are looked at first
NONE = np.empty(0, np.float32)


class Pattern(NamedTuple):
    """Where a matrix (factors, genes) may be other than zero."""

    positions: np.ndarray  # int64 (entries,), in the flat matrix, rising
    indptr: np.ndarray  # int64 (genes + 1,), where each gene begins
    factors: np.ndarray  # int32 (entries,), by gene
    order: np.ndarray  # int64 (entries,), which position each is

    @classmethod
    def of(cls, positions: np.ndarray, n_genes: int) -> Pattern:
        """Pattern of these positions."""
        n = positions.size
        found = cls(positions, np.empty(n_genes + 1, np.int64), np.empty(n, np.int32), np.empty(n, np.int64))
        sort_by_gene(*found)
        return found

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
    pattern = Pattern.of(np.flatnonzero(values != 0), n_genes)
    return pattern if pattern.is_sparse(n_factors) else None


class SparseAffine:
    """``features @ weight' + bias`` by blocks, and its gradients; only entries of a pattern are multiplied.

    Parameters
    ----------
    features
        Features (cells, factors).
    weight
        Weights (genes, factors), kept factor by factor.
    bias
        Bias (genes,), or None.
    pattern
        Where the weights are not zero.
    everywhere
        Whether the gradient of weights outside of the pattern is wanted too.
    """

    def __init__(
        self, features: Tensor, weight: Tensor, bias: Tensor | None, pattern: Pattern, *, everywhere: bool
    ) -> None:
        by_factor = weight.detach().t().contiguous()
        self.features, self.pattern = features.detach().contiguous(), pattern
        self.values = by_factor.numpy().reshape(-1)[pattern.positions][pattern.order]
        self.bias = NONE if bias is None else bias.detach().contiguous().numpy()
        self.d_features = torch.empty_like(self.features)
        empty = torch.empty_like if len(features) else torch.zeros_like
        self.d_weight = empty(by_factor) if everywhere else None
        self.d_values = NONE if everywhere else np.zeros_like(self.values)
        self.d_bias = None if bias is None else np.zeros(len(weight))  # many small terms

    def n_nonzero(self) -> int:
        """Number of weights of the pattern that are not zero."""
        return int(np.count_nonzero(self.values))

    def forward(self, cells: slice, out: Tensor) -> None:
        """Fill ``out`` (cells, genes) for some cells."""
        self.by_factor = self.features[cells].t().contiguous()
        self.tile = np.empty((16, len(out)), np.float32)
        entries = self.pattern.indptr, self.pattern.factors, self.values
        sparse_affine(*entries, self.by_factor.numpy(), self.bias, self.tile, out.numpy())

    def backward(self, cells: slice, gradient: Tensor) -> None:
        """Add to the gradients, for the cells that came last."""
        d_features = np.empty_like(self.by_factor.numpy())
        entries = self.pattern.indptr, self.pattern.factors, self.values
        terms = gradient.numpy()
        sparse_affine_back(*entries, self.by_factor.numpy(), terms, self.tile, d_features, self.d_values)
        self.d_features[cells] = torch.from_numpy(d_features).t()
        if self.d_weight is not None:
            self.d_weight.addmm_(self.by_factor, gradient, beta=0.0 if cells.start == 0 else 1.0)
        if self.d_bias is not None:
            add_columns(terms, self.d_bias)

    def gradients(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Gradients by features, by weights (None unless wanted everywhere), and by the bias."""
        d_bias = None if self.d_bias is None else torch.from_numpy(self.d_bias.astype(np.float32))
        return self.d_features, None if self.d_weight is None else self.d_weight.t(), d_bias

    def gradient_at_positions(self) -> np.ndarray:
        """Gradient by the weights of the pattern, in the order of its positions."""
        out = np.empty_like(self.d_values)
        out[self.pattern.order] = self.d_values
        return out
