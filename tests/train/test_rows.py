"""Rows of a matrix in memory."""

import numpy as np
import pytest
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


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, np.asarray])
@pytest.mark.parametrize("name", CHOICES)
def test_rows_as_scipy_takes_them(kind, name):
    counts, positions = matrix(kind), CHOICES[name]
    rows, expected = take_rows(counts, positions), counts[positions]
    if kind is np.asarray:
        assert np.array_equal(rows, expected)
        return
    assert rows.shape == expected.shape
    assert rows.dtype == expected.dtype
    rows.check_format(full_check=True)
    assert np.array_equal(rows.toarray(), expected.toarray())


def test_neighbours_are_not_copied():
    counts = matrix()
    rows = take_rows(counts, np.arange(7, 21))
    assert np.shares_memory(rows.data, counts.data)
    assert np.shares_memory(rows.indices, counts.indices)


def test_memory_that_cannot_be_written_is_copied():
    counts = matrix()
    counts.data.flags.writeable = False
    assert not np.shares_memory(take_rows(counts, np.arange(7, 21)).data, counts.data)
