"""Checksums of counts tell any other counts, and do not ask how the same ones are stored."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from distaff.model._fingerprint import ContentSum, storage_fingerprint

FORMS = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr array": sparse.csr_array,
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "part": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "long indices": lambda x: sparse.csr_matrix(
        (sparse.csr_matrix(x).data, *(a.astype(np.int64) for a in (sparse.csr_matrix(x).indices, sparse.csr_matrix(x).indptr))),
        shape=x.shape,
    ),
}  # fmt: skip


def content_fingerprint(matrix, *, n_rows=100):
    total = ContentSum(matrix.shape)
    for first in range(0, matrix.shape[0], n_rows):
        total.add(first, matrix[first : first + n_rows])
    return total.value


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(0.7, (13, 7))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_the_same_values_have_the_same_content(counts, form, dtype):
    matrix = FORMS[form](counts.astype(dtype))
    for n_rows in (100, 5, 1):
        assert content_fingerprint(matrix, n_rows=n_rows) == content_fingerprint(counts)


@pytest.mark.parametrize("form", FORMS)
def test_every_other_value_and_every_swap_is_another(counts, form):
    matrices = [counts.copy() for _ in range(counts.size)]
    for place, other in enumerate(matrices):
        other.flat[place] += 1
    for place in range(counts.size - 1):
        other = counts.copy()
        other.flat[[place, place + 1]] = other.flat[[place + 1, place]]
        if (other != counts).any():
            matrices.append(other)
    matrices += [counts[::-1], counts[:, ::-1], counts[[1, 0, *range(2, 13)]]]
    matrices = [FORMS[form](matrix.astype(np.float32)) for matrix in [counts, *matrices]]
    for fingerprint in (content_fingerprint, storage_fingerprint):
        assert len({fingerprint(matrix) for matrix in matrices}) == len(matrices)


def test_a_transposed_square_is_another():
    square = np.arange(25).reshape(5, 5)
    assert content_fingerprint(square) != content_fingerprint(square.T)


def test_sparse_matrices_are_read_whole():
    matrix = sparse.random(50, 20, 0.3, format="csr", dtype=np.float32, random_state=0)
    first = storage_fingerprint(matrix)
    for array in (matrix.data, matrix.indices, matrix.indptr):
        for place in (0, 5, len(array) - 1):
            before, array[place] = array[place], array[place] + 1
            assert storage_fingerprint(matrix) != first
            array[place] = before
    assert storage_fingerprint(matrix) == first


def test_what_is_no_number_has_none():
    assert storage_fingerprint(np.array([[None, 1]], dtype=object)) is None
    assert storage_fingerprint(np.ones((2, 2), dtype=complex)) is None
    assert storage_fingerprint(sparse.coo_matrix(np.eye(3))) is None
    assert storage_fingerprint(np.zeros((0, 3))) == storage_fingerprint(np.zeros((0, 3)))
