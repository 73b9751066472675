"""How a matrix (cells, genes) is stored: numbers of a type that all read, and pointers within its arrays.

Loops over sparse matrices take both on trust: a wrong number would have them read foreign memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from distaff._checks import error

__all__ = [
    "check_genes_within",
    "check_pointers",
    "check_storage",
    "check_structure",
    "check_type",
    "true_csr",
]

LARGEST_NUMBER = 8  # bytes
DAMAGED = "The matrix is damaged: make it anew."


def check_storage(matrix: Any, place: str) -> None:
    """Check a matrix in memory before any of its values is looked at; ``place`` is what messages call it.

    Raises
    ------
    TypeError
        If it is sparse, but neither CSR nor CSC.
    ValueError
        If its numbers are of a type that is not read, some are masked, or row pointers or gene numbers point
        outside of it.
    """
    check_structure(matrix, place)
    check_type(matrix.dtype if sparse.issparse(matrix) else np.asarray(matrix).dtype, place)


def check_structure(matrix: Any, place: str) -> None:
    """Do the same, whatever the type of the values."""
    if isinstance(matrix, np.ma.MaskedArray) and np.ma.is_masked(matrix):
        raise error(
            f"{place} must have no masked values",
            got=f"{np.ma.count_masked(matrix)} of them",
            fix="Say what they are: .filled(0).",
        )
    if not sparse.issparse(matrix):
        return
    if matrix.format not in ("csr", "csc"):
        raise error(
            f"{place} must be dense, CSR or CSC",
            got=f"the sparse format {matrix.format!r}",
            fix="Convert it with .tocsr().",
            kind=TypeError,
        )
    lines, within, shape = "cells", "genes", matrix.shape
    if matrix.format == "csc":
        lines, within, shape = within, lines, shape[::-1]
    n_values = min(len(matrix.data), len(matrix.indices))
    check_pointers(matrix.indptr, n_values=n_values, shape=shape, place=place, of=lines)
    check_genes_within(matrix.indices, shape[1], place, of=within)


def check_type(dtype: np.dtype, place: str) -> None:
    """Check that numbers are real ones of a type that scipy and torch read."""
    if dtype.kind not in "biuf":
        raise error(f"{place} must hold {'real ' * (dtype.kind == 'c')}numbers", got=f"dtype {dtype}")
    if dtype == np.float16 or dtype.itemsize > LARGEST_NUMBER or not dtype.isnative:
        raise error(
            f"{place} must hold numbers of a type that models read",
            got=f"dtype {dtype.str if not dtype.isnative else dtype}",
            fix="Convert them with .astype('float32').",
        )


def check_pointers(
    pointers: np.ndarray, *, n_values: int, shape: tuple[int, int], place: str, of: str = "cells"
) -> None:
    """Check the pointers of a sparse matrix, ``shape`` being (rows, columns) in the order of its storage."""
    row = "row" if of == "cells" else "column"
    if pointers.dtype.kind not in "iu":
        got = f"{row} pointers of dtype {pointers.dtype}"
    elif len(pointers) != shape[0] + 1:
        got = f"{len(pointers)} {row} pointers for {shape[0]} {of}"
    elif pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any():
        got = f"{row} pointers that do not rise from 0"
    elif pointers[-1] > n_values:
        got = f"{row} pointers up to {pointers[-1]} for {n_values} values"
    else:
        return
    kind = "CSR" if of == "cells" else "CSC"
    raise error(f"{place} must be a {kind} matrix that points to its own values", got=got, fix=DAMAGED)


def check_genes_within(numbers: np.ndarray, n: int, place: str, *, of: str = "genes") -> None:
    """Refuse a number that no gene (or, in a CSC matrix, no cell) has."""
    if not len(numbers):
        return
    if numbers.dtype.kind not in "iu":
        raise error(f"{place} must number its {of}", got=f"dtype {numbers.dtype}", fix=DAMAGED)
    lowest, highest = int(numbers.min()), int(numbers.max())
    if lowest < 0 or highest >= n:
        got = lowest if lowest < 0 else highest
        raise error(f"{place} must number its {of} from 0 to {n - 1}", got=got, fix=DAMAGED)


def true_csr(matrix: Any, place: str) -> sparse.csr_matrix:
    """Check a sparse matrix as :func:`check_storage` does, and return it as CSR, each value stored once.

    Arrays are shared where they can be. What the matrix says of itself, that its entries are sorted and
    unique, is not believed: scipy keeps it when arrays are changed in place. Where they are, the first and
    the last entry of a row stand for all.
    """
    if matrix.format != "csr":
        check_storage(matrix, place)
        matrix = matrix.tocsr()
    shape = matrix.shape
    check_type(matrix.dtype, place)
    n_values = min(len(matrix.data), len(matrix.indices))
    check_pointers(matrix.indptr, n_values=n_values, shape=shape, place=place)
    check_genes_within(matrix.indices[:1], shape[1], place)  # whether they are numbers at all
    fresh = sparse.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=shape, copy=False)
    first, behind = fresh.indptr[:-1], fresh.indptr[1:]
    if fresh.has_canonical_format:
        filled = first < behind
        check_genes_within(fresh.indices[first[filled]], shape[1], place)
        check_genes_within(fresh.indices[behind[filled] - 1], shape[1], place)
    else:
        check_genes_within(fresh.indices, shape[1], place)
        fresh = fresh.copy()
        fresh.sum_duplicates()
    return fresh
