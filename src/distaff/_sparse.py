"""Sparse matrices whose parts fit together: who takes a damaged one on trust reads foreign memory."""

from __future__ import annotations

from typing import Any

from scipy import sparse

from distaff._checks import error

__all__ = ["check_compressed"]


def check_compressed(matrix: Any, place: str) -> None:
    """Check that the pointers and indices of a CSR or CSC matrix in memory lie within it.

    Parameters
    ----------
    matrix
        Anything; what is not CSR or CSC passes.
    place
        What messages call it.

    Raises
    ------
    ValueError
        If they do not.
    """
    if not sparse.issparse(matrix) or matrix.format not in ("csr", "csc"):
        return
    n_major, n_minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    pointers, n_values = matrix.indptr, min(len(matrix.data), len(matrix.indices))
    if len(pointers) != n_major + 1:
        got = f"{len(pointers)} pointers for {n_major} of its rows or columns"
    elif pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any():
        got = "pointers that do not rise from 0"
    elif pointers[-1] > n_values:
        got = f"pointers up to {pointers[-1]} for {n_values} values"
    else:
        indices = matrix.indices[: pointers[-1]]
        if not len(indices) or (indices.min() >= 0 and indices.max() < n_minor):
            return
        got = f"indices from {indices.min()} to {indices.max()} for a length of {n_minor}"
    raise error(f"{place} must be a whole sparse matrix", got=got, fix="The file is damaged: write it anew.")
