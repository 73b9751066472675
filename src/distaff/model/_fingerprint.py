"""Checksums of counts: whether they are still the same, far cheaper than a pass over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from distaff.ops.kernels.fingerprint import dense_sum, sparse_sum, words_sum

__all__ = ["ContentSum", "storage_fingerprint"]

WORD = np.dtype(np.uint64)
NUMBERS = "biuf"


def storage_fingerprint(matrix: Any) -> int | None:
    """Checksum of a matrix as it lies in memory, None if it is of no kind that is read.

    Nothing is believed that a sparse matrix says of itself.
    """
    if sparse.issparse(matrix) and matrix.format not in ("csr", "csc"):
        return None
    arrays = [matrix.data, matrix.indices, matrix.indptr] if sparse.issparse(matrix) else [np.asarray(matrix)]
    found = 0
    for array in arrays:
        if array.dtype.kind not in NUMBERS:
            return None
        words, rest = _words(array)
        found = int(words_sum(words, np.uint64(found ^ rest)))
    return found


class ContentSum:
    """Checksum of the values at their places, whatever the format, order of entries and type of numbers.

    Parameters
    ----------
    shape
        Shape of the matrix (cells, genes), which comes block of rows by block of rows.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._rows, self._columns = (_odd_numbers(n, axis) for axis, n in enumerate(shape))
        self.value = 0

    def add(self, first: int, block: Any) -> None:
        """Add rows, dense, CSR or CSC, with checked pointers; ``first`` is the number of the first one."""
        rows = self._rows[first : first + block.shape[0]]
        self.value = (self.value + _sum(block, [rows, self._columns])) % 2**64


def _sum(matrix: Any, weights: list[np.ndarray]) -> int:
    if not sparse.issparse(matrix):
        values = np.asarray(matrix)
        turned = values.flags.f_contiguous and not values.flags.c_contiguous
        return int(dense_sum(values.T, *weights[::-1]) if turned else dense_sum(values, *weights))
    if matrix.format == "csc":
        weights = weights[::-1]
    return int(sparse_sum(matrix.indptr, matrix.indices, matrix.data, *weights))


def _words(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Memory of an array as words, and the bytes that are left."""
    held = array.ravel(order="K").view(np.uint8)
    n = held.size - held.size % WORD.itemsize
    words = np.require(held[:n].view(WORD), requirements="A")
    return words, int.from_bytes(held[n:].tobytes(), "little")


def _odd_numbers(n: int, axis: int) -> np.ndarray:
    """Return ``n`` numbers, the same in every process, others for columns than for rows."""
    return np.random.default_rng((n, axis)).integers(0, 2**64, n, dtype=WORD) | np.uint64(1)
