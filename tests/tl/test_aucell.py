"""AUCell's score: against published numbers, and against ranks of all genes written down by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from distaff.tl._aucell import largest_area, rank_weights, threshold


def weights_of(block, max_rank, seed=0):
    return rank_weights(np.random.default_rng(seed), block, max_rank).toarray()


def area(ranks, max_rank):
    """Area under the recovery curve, step by step as AUCell defines it."""
    x = np.sort(ranks[ranks < max_rank])
    return float(np.sum(np.diff(np.append(x, max_rank)) * np.arange(1, len(x) + 1)))


def test_published_numbers():
    # ranks 1, 3, 4 and 12 of 200 genes
    values = np.arange(200, 0, -1, dtype=float)[None]
    score = weights_of(values, 10)[0, [0, 2, 3, 11]].sum()
    sizes = np.array([4])
    assert score / largest_area(sizes, 10, "aucell")[0] == pytest.approx(0.7333333333333333, abs=1e-12)
    assert score / largest_area(sizes, 10, "pyscenic")[0] == pytest.approx(0.55, abs=1e-12)


@pytest.mark.parametrize(("n_genes", "top", "aucell", "pyscenic"), [(200, 0.05, 10, 10), (205, 0.05, 11, 10)])
def test_threshold(n_genes, top, aucell, pyscenic):
    assert threshold(n_genes, top, "aucell") == aucell
    assert threshold(n_genes, top, "pyscenic") == pyscenic


@pytest.mark.parametrize("size", [1, 4, 9, 10, 200])
def test_largest_area_is_that_of_the_first_ranks(size):
    assert largest_area(np.array([size]), 10, "aucell")[0] == area(np.arange(1, size + 1), 10)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.integers(-3, 6), min_size=2, max_size=30),
    top=st.floats(0.05, 1.0),
    seed=st.integers(0, 100),
)
def test_ranks_are_those_of_some_order_of_the_ties(values, top, seed):
    values = np.array(values, dtype=float)
    max_rank = max(2, threshold(len(values), top, "aucell"))
    weights = weights_of(values[None], max_rank, seed)[0]
    ranked = np.flatnonzero(weights)
    ranks = (max_rank - weights[ranked]).astype(int)
    np.testing.assert_array_equal(np.sort(ranks), np.arange(1, max_rank))
    in_order = values[ranked[np.argsort(ranks)]]
    np.testing.assert_array_equal(in_order, np.sort(values)[::-1][: max_rank - 1])


@pytest.mark.parametrize("seed", range(5))
def test_brute_force_without_ties(seed):
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.arange(-20, 80, dtype=float))[None]  # one gene at 0, some below
    ranks = stats.rankdata(-block[0], method="ordinal")
    for max_rank in (2, 10, 82, 100):
        for size in (1, 7, 100):
            members = rng.permutation(100)[:size]
            score = weights_of(block, max_rank)[0, members].sum()
            assert score == area(ranks[members], max_rank)


def test_ties_are_in_random_order():
    # two genes at 5, three at 2, four at 0, one below: first places by rank, over many draws
    block = np.repeat([[5.0, 2, 0, 2, -1, 0, 5, 0, 2, 0]], 6000, axis=0)
    weights = weights_of(block, 8)
    ranks = np.where(weights > 0, 8 - weights, np.nan)
    for genes, places in (([0, 6], [1, 2]), ([1, 3, 8], [3, 4, 5]), ([2, 5, 7, 9], [6, 7, np.nan, np.nan])):
        for gene in genes:
            seen = [(ranks[:, gene] == place).sum() for place in places if place == place]
            seen.append(6000 - sum(seen))
            expected = np.append(np.full(len(seen) - 1, 6000 / len(genes)), 0)
            expected[-1] = 6000 - expected.sum()
            if expected[-1] == 0:
                seen, expected = seen[:-1], expected[:-1]
            assert stats.chisquare(seen, expected).pvalue > 1e-4
    assert np.isnan(ranks[:, 4]).all()


@pytest.mark.parametrize(("n_genes", "size", "max_rank"), [(200, 20, 10), (200, 5, 10), (100, 30, 50)])
def test_mean_of_random_sets(n_genes, size, max_rank):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, (1, n_genes))  # ties and zeros among the first ranks
    weights = weights_of(np.repeat(counts, 4000, axis=0), max_rank)
    members = rng.permuted(np.tile(np.arange(n_genes), (4000, 1)), axis=1)[:, :size]
    scores = np.take_along_axis(weights, members, axis=1).sum(1)
    scores /= largest_area(np.array([size]), max_rank, "aucell")
    expected = size * max_rank * (max_rank - 1) / (2 * n_genes)
    expected /= largest_area(np.array([size]), max_rank, "aucell")[0]
    if (n_genes, size) == (200, 20):
        assert expected == pytest.approx(0.1, abs=1e-12)
    assert scores.mean() == pytest.approx(expected, abs=4 * scores.std() / np.sqrt(4000))


class TestForms:
    """The same values in another form get the same ranks."""

    values = np.random.default_rng(0).poisson(0.7, (20, 60))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.uint64])
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
    def test_dtype_and_format(self, dtype, form):
        same = weights_of(form(self.values.astype(dtype)), 30)
        np.testing.assert_array_equal(same, weights_of(self.values, 30))

    def test_bool(self):
        detected = self.values > 0
        np.testing.assert_array_equal(weights_of(detected, 30), weights_of(detected.astype(int), 30))

    def test_monotone_change(self):
        np.testing.assert_array_equal(weights_of(np.log1p(self.values), 30), weights_of(self.values, 30))

    def test_stored_zeros_and_any_order(self):
        plain = sparse.csr_matrix(self.values)
        coo = plain.tocoo()
        order = np.random.default_rng(1).permutation(coo.nnz)
        rows = np.append(coo.row[order], [0, 3])
        empty = [np.flatnonzero(self.values[0] == 0)[0], np.flatnonzero(self.values[3] == 0)[2]]
        by_row = np.argsort(rows, kind="stable")
        columns, data = np.append(coo.col[order], empty), np.append(coo.data[order], [0, 0])
        indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=20)))
        odd = sparse.csr_matrix((data[by_row], columns[by_row], indptr), shape=plain.shape)
        before = odd.indices.copy()
        np.testing.assert_array_equal(weights_of(odd, 30), weights_of(plain, 30))
        np.testing.assert_array_equal(odd.indices, before)  # left as it was
