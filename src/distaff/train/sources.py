"""Where the counts of cells are read from: memory, or a file that is left where it is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse

from distaff._checks import error
from distaff._disk import Block, DiskRows, is_on_disk
from distaff._storage import check_storage, true_csr
from distaff.train.resident import Resident, fits_on

__all__ = ["RowSource", "cell_totals", "held_rows", "row_source"]

# Cells that are read together. A chunk of a compressed file is unpacked as a whole for any of its cells, so
# that blocks are several chunks long; but the more of them there are, the better are cells mixed.
CHUNKS_A_BLOCK = 4
SMALLEST_BLOCK = 256
LARGEST_BLOCK = 1024


class RowSource(Protocol):
    """Counts of which rows can be taken; ``block_size`` is how many neighbours are best read together."""

    on_disk: bool
    block_size: int

    def pool(self, positions: np.ndarray) -> tuple[Any, np.ndarray]:
        """Rows at these positions among others, and where each of them is."""


class InMemory:
    """Counts in memory.

    Parameters
    ----------
    counts
        Matrix (cells, genes).
    """

    on_disk = False
    block_size = 1

    def __init__(self, counts: Any) -> None:
        place = "The matrix of counts"  # it may have changed since it was set up
        if sparse.issparse(counts):
            counts = true_csr(counts, place)
        else:
            check_storage(counts, place)
        self.counts = counts

    def pool(self, positions: np.ndarray) -> tuple[Block, np.ndarray]:
        """All rows, and the positions themselves."""
        return self.counts, positions


class OnDisk:
    """Counts in a file or store, of which ranges of rows are read.

    Parameters
    ----------
    counts
        Matrix (cells, genes) of a backed AnnData.
    """

    on_disk = True

    def __init__(self, counts: Any) -> None:
        self.rows = DiskRows(counts)
        wanted = CHUNKS_A_BLOCK * self.rows.chunk_size
        self.block_size = int(min(max(wanted, SMALLEST_BLOCK), LARGEST_BLOCK))

    def pool(self, positions: np.ndarray) -> tuple[Block, np.ndarray]:
        """Read the rows at these positions, with some neighbours, and say where each of them is."""
        block, place = self.rows.pool(positions)
        if not isinstance(block, np.ndarray):
            block.sum_duplicates()
        return block, place


class Held:
    """Some rows of a file, held in memory.

    Parameters
    ----------
    rows
        Their counts, (rows, genes).
    positions
        Which rows they are, in rising order.
    """

    on_disk = False
    block_size = 1

    def __init__(self, rows: Block, positions: np.ndarray) -> None:
        self.rows, self.positions = rows, positions

    def pool(self, positions: np.ndarray) -> tuple[Block, np.ndarray]:
        """All rows, and where those at ``positions`` are among them."""
        return self.rows, np.searchsorted(self.positions, positions)


def held_rows(counts: Any, positions: np.ndarray) -> RowSource:
    """Source of these rows, read once if they are on disk."""
    source = row_source(counts)
    if not source.on_disk:
        return source
    positions = np.unique(positions)
    block, place = source.pool(positions)
    return Held(block[place], positions)


def cell_totals(counts: Any) -> np.ndarray:
    """Sum of the counts of each cell, shape (cells,), by blocks where they are on disk."""
    blocks = (block for _, block in DiskRows(counts).blocks()) if is_on_disk(counts) else [counts]
    return np.concatenate([np.asarray(block.sum(axis=1)).ravel() for block in blocks])


def row_source(counts: Any, device: torch.device | None = None) -> RowSource:
    """Source of the rows of ``counts``; they are kept on a GPU that minibatches are for, if they fit there.

    Raises
    ------
    TypeError
        If a file stores them gene by gene, so that each minibatch would read all of it, or they are of a
        kind that cannot be read row by row.
    ValueError
        If their file is closed.
    """
    if sparse.issparse(counts) or isinstance(counts, np.ndarray):
        source = InMemory(counts)
        if device is None or not fits_on(source.counts, device):
            return source
        return Resident(source.counts, device)
    if is_on_disk(counts):
        return OnDisk(counts)
    raise error(
        "Counts must be a numpy array or a scipy sparse matrix, in memory, an h5ad file or a zarr store",
        got=type(counts).__name__,
        fix="Read them into memory.",
        kind=TypeError,
    )
