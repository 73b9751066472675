"""Rows of a matrix in memory as minibatches."""

import numpy as np
import pytest
import torch
from scipy import sparse

from distaff.train.rows import take_rows


def matrix(kind=sparse.csr_matrix):
    rng = np.random.default_rng(0)
    return kind(rng.poisson(0.5, (40, 9)).astype(np.float32))


CHOICES = {
    "neighbours": np.arange(7, 21),
    "all": np.arange(40),
    "last": np.array([39]),
    "none": np.array([], dtype=np.int64),
    "backwards": np.arange(9, 3, -1),
    "scattered": np.array([3, 30, 3, 5]),
    "with a gap": np.array([3, 4, 4, 6]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, np.asarray])
@pytest.mark.parametrize("name", CHOICES)
def test_rows_as_scipy_takes_them(kind, name, dtype):
    counts, positions = matrix(kind).astype(dtype), CHOICES[name]
    rows, expected = take_rows(counts, positions), counts[positions]
    assert rows.layout is torch.sparse_csr
    assert rows.dtype is torch.float32
    assert rows.shape == expected.shape
    rebuilt = torch.sparse_csr_tensor(
        rows.crow_indices(), rows.col_indices(), rows.values(), rows.shape, check_invariants=True
    )
    dense = expected if kind is np.asarray else expected.toarray()
    assert np.array_equal(rebuilt.to_dense().numpy(), dense)


def test_long_row_pointers():
    counts = matrix()
    counts.indptr = counts.indptr.astype(np.int64)
    expected = matrix()[[3, 30]].toarray()
    assert np.array_equal(take_rows(counts, np.array([3, 30])).to_dense().numpy(), expected)


def test_neighbours_are_not_copied():
    counts = matrix()
    rows = take_rows(counts, np.arange(7, 21))
    assert np.shares_memory(rows.values().numpy(), counts.data)
    assert np.shares_memory(rows.col_indices().numpy(), counts.indices)


def test_memory_that_cannot_be_written_is_copied():
    counts = matrix()
    counts.data.flags.writeable = False
    assert not np.shares_memory(take_rows(counts, np.arange(7, 21)).values().numpy(), counts.data)
