"""Matrices (cells, genes) that are left on disk: which can be read cell by cell, and reading their rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, TypeAlias

import h5py
import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from distaff._checks import error
from distaff._storage import check_genes_within, check_pointers, check_type

__all__ = ["Block", "DiskRows", "is_on_disk"]

Block: TypeAlias = "sparse.csr_matrix | np.ndarray"

GAP = 2**14  # values between two rows that are read along, since a further access would take longer
MOST_VALUES = 2**22  # values that are read at once, 32 MB as CSR


def is_on_disk(matrix: Any) -> bool:
    """Whether a matrix is not in memory; one of dask counts as on disk."""
    return isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset) or _is_zarr(matrix) or _is_dask(matrix)


class DiskRows:
    """Rows of a matrix in an HDF5 file or a zarr store.

    Parameters
    ----------
    matrix
        CSR matrix as anndata leaves it on disk, or a dense array of h5py or zarr.
    place
        What messages call it.

    Raises
    ------
    TypeError
        If it is stored gene by gene, so that each row would cost a reading of all of it, or belongs to dask.
    ValueError
        If its file is closed, its row pointers cannot be those of a CSR matrix, its numbers are of a type
        that is not read, or, once rows are read, it numbers genes that there are not.
    """

    def __init__(self, matrix: Any, *, place: str = "adata.X") -> None:
        _check_kind(matrix, place)
        if isinstance(matrix, CSRDataset):
            _check_open(matrix.group, place)
            self._values, self._genes = matrix.group["data"], matrix.group["indices"]
            self.offsets = np.asarray(matrix.group["indptr"][...]).astype(np.int64)
        else:
            _check_open(matrix, place)
            self._values, self._genes = matrix, None
            self.offsets = np.arange(matrix.shape[0] + 1, dtype=np.int64) * matrix.shape[1]
        self.shape: tuple[int, int] = matrix.shape
        self._place = place
        check_type(matrix.dtype, place)
        if self._genes is not None:
            n_values = min(self._values.shape[0], self._genes.shape[0])
            check_pointers(self.offsets, n_values=n_values, shape=self.shape, place=place)

    @property
    def chunk_size(self) -> float:
        """Rows on average in what must be unpacked as a whole; 0 where any part can be read alone."""
        chunks = self._values.chunks
        packed = not isinstance(self._values, h5py.Dataset) or self._values.compression is not None
        if chunks is None or not packed or not self.offsets[-1]:
            return 0.0
        if self._genes is None:
            return float(chunks[0])
        return chunks[0] * self.shape[0] / float(self.offsets[-1])

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """First row and values of one block of rows after the other."""
        first = 0
        while first < self.shape[0]:
            last = self._end(first)
            yield first, self.read(first, last)
            first = last

    def read(self, first: int, last: int) -> Block:
        """Rows from ``first`` up to, and without, ``last``."""
        if self._genes is None:
            return np.asarray(self._values[first:last])
        start, stop = int(self.offsets[first]), int(self.offsets[last])
        values, genes = np.asarray(self._values[start:stop]), np.asarray(self._genes[start:stop])
        check_genes_within(genes, self.shape[1], self._place)
        # one type for both, without which scipy copies all of them at each access
        kind = np.int32 if genes.dtype.itemsize < 4 or genes.dtype == np.int32 else np.int64
        indptr = (self.offsets[first : last + 1] - start).astype(kind)
        shape = (last - first, self.shape[1])
        return sparse.csr_matrix((values, genes.astype(kind, copy=False), indptr), shape=shape)

    def pool(self, positions: np.ndarray) -> tuple[Block, np.ndarray]:
        """Read a block that holds the rows at ``positions``, and where each of them is in it.

        Rows are read in the order of the file, neighbours together.
        """
        if not len(positions):
            return self.read(0, 0), np.empty(0, dtype=np.int64)
        wanted, inverse = np.unique(positions, return_inverse=True)
        blocks, places, n_before = [], [], 0
        for rows in self._runs(wanted):
            block, local = self.read(int(rows[0]), int(rows[-1]) + 1), rows - rows[0]
            if 2 * len(rows) < block.shape[0]:  # most of it is not wanted
                block, local = block[local], np.arange(len(rows))
            blocks.append(block)
            places.append(local + n_before)
            n_before += block.shape[0]
        return _stack(blocks), np.concatenate(places)[inverse.ravel()]

    def _runs(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Sorted rows, cut where it pays to skip what is between two of them, or a reading grows too long."""
        gaps = self.offsets[wanted[1:]] - self.offsets[wanted[:-1] + 1]
        for run in np.split(wanted, np.flatnonzero(gaps > GAP) + 1):
            start = 0
            while start < len(run):
                stop = max(int(np.searchsorted(run, self._end(int(run[start])))), start + 1)
                yield run[start:stop]
                start = stop

    def _end(self, first: int) -> int:
        """Row before which a reading that starts at row ``first`` ends."""
        last = int(np.searchsorted(self.offsets, self.offsets[first] + MOST_VALUES, side="right")) - 1
        return min(max(last, first + 1), self.shape[0])


def _stack(blocks: list[Any]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    if isinstance(blocks[0], np.ndarray):
        return np.concatenate(blocks)
    return sparse.vstack(blocks, format="csr")


def _check_kind(matrix: Any, place: str) -> None:
    if isinstance(matrix, CSCDataset):
        raise error(
            f"{place} on disk must be stored cell by cell (CSR)",
            got="CSC, gene by gene",
            fix="Write the data with adata.X = adata.X.tocsr(), or read them into memory.",
            kind=TypeError,
        )
    if _is_dask(matrix):
        raise error(
            f"{place} on disk must be readable row by row",
            got="a dask array",
            fix="Give the store itself: X=anndata.io.sparse_dataset(group['X']), or read it into memory.",
            kind=TypeError,
        )


def _check_open(stored: Any, place: str) -> None:
    if isinstance(stored, h5py.Group | h5py.Dataset) and not stored:
        raise error(f"The file of {place} must be open", got="a closed file", fix="Open it again.")


def _is_zarr(matrix: Any) -> bool:
    zarr = sys.modules.get("zarr")  # who has an array of it has imported it
    return zarr is not None and isinstance(matrix, zarr.Array)


def _is_dask(matrix: Any) -> bool:
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(matrix, dask.Array)
