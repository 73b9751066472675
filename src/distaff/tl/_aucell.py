"""AUCell's recovery score :cite:p:`Aibar17` of gene sets among the highest genes of each cell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["VARIANTS", "largest_area", "rank_weights", "threshold"]

VARIANTS = ("aucell", "pyscenic")


def threshold(n_genes: int, top: float, variant: str) -> int:
    """First rank, counted from 1, that no longer counts."""
    return math.ceil(top * n_genes) if variant == "aucell" else round(top * n_genes)


def largest_area(sizes: NDArray[np.int64], max_rank: int, variant: str) -> NDArray[np.float64]:
    """Area that scores 1, shape (sets,).

    ``"aucell"``: what a set reaches whose genes have the first ranks; ``"pyscenic"``: the rectangle of all
    ranks and genes, which no set can reach.
    """
    if variant == "pyscenic":
        return max_rank * sizes.astype(np.float64)
    first = np.minimum(sizes, max_rank - 1)
    return first * max_rank - first * (first + 1) / 2


def rank_weights(rng: np.random.Generator, block: Any, max_rank: int) -> sparse.csr_matrix:
    r"""``max_rank - rank`` of the genes with a rank below ``max_rank``, shape (cells, genes).

    The area under the recovery curve of a set is the sum over its genes,
    :math:`\sum_j (t - r_j)` for ranks :math:`r_j < t`: a product of these weights with the mask of the set.
    Genes with the same value, zeros among them, are in random order.

    Parameters
    ----------
    rng
        Source of randomness.
    block
        Expression, dense or CSR, shape (cells, genes).
    max_rank
        The threshold :math:`t`, at most the number of genes.
    """
    rows = sparse.csr_matrix(block)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    n_cells, n_genes = rows.shape
    n_top = max_rank - 1
    genes = np.empty((n_cells, n_top), dtype=np.int64)
    for i in range(n_cells):
        row = slice(rows.indptr[i], rows.indptr[i + 1])
        genes[i] = _highest(rng, rows.data[row], rows.indices[row], n_genes, n_top)
    weights = np.tile(np.arange(n_top, 0, -1, dtype=np.float64), n_cells)
    indptr = np.arange(n_cells + 1) * n_top
    return sparse.csr_matrix((weights, genes.ravel(), indptr), shape=(n_cells, n_genes))


def _highest(
    rng: np.random.Generator, values: NDArray[Any], genes: NDArray[Any], n_genes: int, n_top: int
) -> NDArray[np.int64]:
    """The ``n_top`` genes of highest value in order, ties in random order; genes not listed are 0."""
    positive = values > 0
    top = _sorted(rng, values[positive], genes[positive], n_top)
    if len(top) < n_top:
        zero = np.ones(n_genes, dtype=bool)
        zero[genes[values != 0]] = False
        zeros = np.flatnonzero(zero)
        top = np.append(top, rng.choice(zeros, size=min(n_top - len(top), len(zeros)), replace=False))
    if len(top) < n_top:
        negative = values < 0
        top = np.append(top, _sorted(rng, values[negative], genes[negative], n_top - len(top)))
    return top


def _sorted(rng: np.random.Generator, values: NDArray[Any], genes: NDArray[Any], n_top: int) -> NDArray[Any]:
    """At most ``n_top`` of the genes, highest value first, ties in random order."""
    if len(values) > n_top:  # the rest need not be sorted
        candidates = values >= np.partition(values, len(values) - n_top)[len(values) - n_top]
        values, genes = values[candidates], genes[candidates]
    shuffled = rng.permutation(len(values))
    order = np.argsort(values[shuffled], kind="stable")[::-1]  # backwards: no minus of unsigned integers
    return genes[shuffled[order[:n_top]]]
