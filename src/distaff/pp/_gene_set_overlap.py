"""Which gene sets are the same as, or part of, another."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["find_overlaps"]

BLOCK = 256  # sets compared with all others at once


def find_overlaps(membership: sparse.csc_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Identical and nested sets.

    Parameters
    ----------
    membership
        Matrix (genes, sets), stored where a gene is in a set.

    Returns
    -------
    Two arrays (sets,) of positions, -1 for none: the first set with the same genes, if it stands before, and
    the smallest set that holds all genes and more.
    """
    pattern = sparse.csc_matrix(
        (np.ones(membership.nnz, dtype=np.int32), membership.indices, membership.indptr), membership.shape
    )
    sizes = np.diff(pattern.indptr)
    same_as, nested_in = np.full((2, pattern.shape[1]), -1)
    by_gene = pattern.tocsr()
    for start in range(0, pattern.shape[1], BLOCK):
        shared = (pattern[:, start : start + BLOCK].T @ by_gene).tocoo()
        inner, outer = shared.row + start, shared.col
        held = shared.data == sizes[inner]  # all genes of the inner set are in the outer one
        inner, outer = inner[held], outer[held]
        equal = (sizes[outer] == sizes[inner]) & (outer < inner)
        _keep_first(same_as, inner[equal], outer[equal], order=outer[equal])
        larger = sizes[outer] > sizes[inner]
        _keep_first(nested_in, inner[larger], outer[larger], order=sizes[outer[larger]])
    return same_as, nested_in


def _keep_first(result: np.ndarray, inner: np.ndarray, outer: np.ndarray, *, order: np.ndarray) -> None:
    """Give each inner set the outer one that is first in order, then in position."""
    last_first = np.lexsort((outer, order))[::-1]
    result[inner[last_first]] = outer[last_first]  # of repeated positions numpy keeps the last
