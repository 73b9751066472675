"""Where the counts of cells are read from: memory, or a file that is left where it is."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import h5py
import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from distaff._checks import error
from distaff.train.rows import take_rows

__all__ = ["RowSource", "row_source"]

Block: TypeAlias = "sparse.csr_matrix | np.ndarray"

SPARSEST_RUN = 0.25  # share of the rows of a range from which on the whole range is read


class RowSource(Protocol):
    """Counts of which rows can be taken."""

    on_disk: bool

    def rows(self, positions: np.ndarray) -> Block:
        """Rows at these positions, in this order."""


class InMemory:
    """Counts in memory.

    Parameters
    ----------
    counts
        Matrix (cells, genes).
    """

    on_disk = False

    def __init__(self, counts: Any) -> None:
        if sparse.issparse(counts):
            counts = counts.tocsr()
            if not counts.has_canonical_format:  # an entry that is stored twice counts twice
                counts = counts.copy()
                counts.sum_duplicates()
        self.counts = counts

    def rows(self, positions: np.ndarray) -> Block:
        """Rows at these positions, in this order."""
        return take_rows(self.counts, positions)


class OnDisk:
    """Counts in a file, of which ranges of rows are read.

    Parameters
    ----------
    counts
        Matrix (cells, genes) of a backed AnnData.
    """

    on_disk = True

    def __init__(self, counts: Any) -> None:
        self.counts = counts

    def rows(self, positions: np.ndarray) -> Block:
        """Rows at these positions, in this order."""
        if not len(positions):
            return self.counts[0:0]
        sorted_rows, place = np.unique(positions, return_inverse=True)
        first, last = sorted_rows[0], sorted_rows[-1] + 1
        if len(sorted_rows) >= SPARSEST_RUN * (last - first):
            block = self.counts[first:last][sorted_rows - first]
        else:
            block = self.counts[sorted_rows]
        block = block[place]
        if sparse.issparse(block) and not block.has_canonical_format:
            block.sum_duplicates()
        return block


def row_source(counts: Any) -> RowSource:
    """Source of the rows of ``counts``.

    Raises
    ------
    TypeError
        If a file stores them gene by gene, so that each minibatch would read all of it, or they are of a
        kind that cannot be read row by row.
    """
    if sparse.issparse(counts) or isinstance(counts, np.ndarray):
        return InMemory(counts)
    if isinstance(counts, CSRDataset | h5py.Dataset):
        return OnDisk(counts)
    if isinstance(counts, CSCDataset):
        raise error(
            "Counts on disk must be stored cell by cell (CSR)",
            got="CSC, gene by gene",
            fix="Write the data with adata.X = adata.X.tocsr(), or read them into memory.",
            kind=TypeError,
        )
    raise error(
        "Counts must be a numpy array, a scipy sparse matrix, or one of these in a backed h5ad",
        got=type(counts).__name__,
        fix="Read them into memory.",
        kind=TypeError,
    )
