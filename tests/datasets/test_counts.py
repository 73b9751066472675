"""Counts around given means: negative binomial, block by block."""

import numpy as np
import pytest
from scipy import stats

from distaff.datasets import _counts
from distaff.datasets import _splat as splat

SEEDS = [0, 1, 2]


def bcv2(mean, bcv_common, factor=1.0):
    """Squared biological coefficient of variation, as Splatter writes it."""
    return ((bcv_common + 1 / np.sqrt(mean)) * factor) ** 2


def draw(mean, n, *, seed, bcv_common=0.1, factor=None):
    """``n`` counts with the same mean, as ``n`` genes of one cell."""
    counts = np.zeros(n, dtype=np.int64)
    factor = np.ones(n) if factor is None else factor
    position, values = _counts.negative_binomial(
        np.random.default_rng(seed), np.full((1, n), mean), splat.bcv_scale(bcv_common, factor)
    )
    counts[position] = values
    return counts


class TestCounts:
    @pytest.mark.parametrize("mean", [0.03, 0.5, 4.0, 9.9, 12.0])  # both ways to draw
    @pytest.mark.parametrize(("bcv_common", "factor"), [(0.0, 1.0), (0.448, 1.0), (0.448, 1.7)])
    def test_negative_binomial(self, mean, bcv_common, factor):
        n = 100_000
        counts = draw(mean, n, seed=0, bcv_common=bcv_common, factor=np.full(n, factor))
        size = 1 / bcv2(mean, bcv_common, factor)
        expected = stats.nbinom(size, size / (size + mean)).pmf(np.arange(200)) * n
        seen = np.bincount(np.minimum(counts, 199), minlength=200)
        last = int(np.flatnonzero(expected >= 10)[-1])  # the tail in one bin
        seen = np.append(seen[:last], seen[last:].sum())
        expected = np.append(expected[:last], n - expected[:last].sum())
        assert stats.chisquare(seen, expected).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_same_as_gamma_then_poisson(self, seed):
        n, mean = 20_000, 8.0
        rng = np.random.default_rng(seed + 100)
        factor = splat.dispersion_factors(rng, n, df=60)
        b2 = bcv2(mean, 0.1, factor)
        direct = rng.poisson(rng.gamma(1 / b2, mean * b2))
        ours = draw(mean, n, seed=seed, factor=factor)
        assert stats.ks_2samp(ours, direct).pvalue > 1e-4  # conservative with ties

    @pytest.mark.parametrize("mean", [2.0, 50.0])
    def test_moments_over_genes(self, mean):
        n, phi, df = 400_000, 0.1, 60.0
        factor = splat.dispersion_factors(np.random.default_rng(1), n, df=df)
        counts = draw(mean, n, seed=2, bcv_common=phi, factor=factor)
        variance = mean + mean**2 * (phi + mean**-0.5) ** 2 * df / (df - 2)
        if mean == 50:
            assert variance == pytest.approx(200.73518426067733, abs=1e-9)
            assert np.sqrt(bcv2(mean, phi)) == pytest.approx(0.2414213562373095, abs=1e-9)
        assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / n))
        assert counts.var() == pytest.approx(variance, rel=0.02)

    def test_mean_zero_gives_zero(self):
        means = np.array([[0.0, 5.0, 0.0]])
        position, counts = _counts.negative_binomial(
            np.random.default_rng(0), np.repeat(means, 100, axis=0), splat.bcv_scale(0.1, np.ones(3))
        )
        assert set(position % 3) == {1}
        assert counts.min() > 0

    def test_no_counts_at_all(self):
        position, counts = _counts.negative_binomial(
            np.random.default_rng(0), np.zeros((4, 3)), splat.bcv_scale(0.1, np.ones(3))
        )
        assert len(position) == len(counts) == 0

    def test_very_dispersed_and_very_large(self):
        counts = draw(1e8, 1000, seed=0, bcv_common=0.0)
        assert counts.mean() == pytest.approx(1e8, rel=1e-4)
        assert draw(1.0, 100, seed=0, bcv_common=50.0).min() >= 0

    @pytest.mark.parametrize("overdispersion", [1e-9, 0.2, 3.0])
    def test_any_scale(self, overdispersion):
        # variance m + a m^2, the other way to write a negative binomial
        n, mean = 200_000, 1.5
        counts = np.zeros(n, dtype=np.int64)
        position, values = _counts.negative_binomial(
            np.random.default_rng(0), np.full((1, n), mean), lambda m, gene: overdispersion * m
        )
        counts[position] = values
        expected = stats.nbinom(1 / overdispersion, 1 / (1 + overdispersion * mean)).pmf(np.arange(200)) * n
        seen = np.bincount(np.minimum(counts, 199), minlength=200)
        last = int(np.flatnonzero(expected >= 10)[-1])
        seen = np.append(seen[:last], seen[last:].sum())
        expected = np.append(expected[:last], n - expected[:last].sum())
        assert stats.chisquare(seen, expected).pvalue > 1e-4


class TestSampleCounts:
    n_cells = 3 * _counts.BLOCK_CELLS + 5

    def sample(self, means, seed=0):
        return _counts.sample_counts(
            np.random.SeedSequence(seed),
            lambda block: means[block],
            splat.bcv_scale(0.1, np.ones(means.shape[1])),
            n_cells=len(means),
            n_genes=means.shape[1],
        )

    def test_blocks_have_streams_of_their_own(self):
        means = np.random.default_rng(0).gamma(1, 1, (self.n_cells, 30))
        whole = self.sample(means).toarray()
        first = self.sample(means[: _counts.BLOCK_CELLS]).toarray()
        np.testing.assert_array_equal(whole[: _counts.BLOCK_CELLS], first)
        means[0] = 0  # what happens in one block stays in it
        changed = self.sample(means).toarray()
        assert not changed[0].any()
        np.testing.assert_array_equal(whole[_counts.BLOCK_CELLS :], changed[_counts.BLOCK_CELLS :])

    def test_blocks_differ(self):
        dense = self.sample(np.full((self.n_cells, 30), 5.0)).toarray()
        assert not np.array_equal(
            dense[: _counts.BLOCK_CELLS], dense[_counts.BLOCK_CELLS : 2 * _counts.BLOCK_CELLS]
        )

    def test_csr_of_whole_numbers(self):
        X = self.sample(np.random.default_rng(0).gamma(1, 1, (self.n_cells, 30)))
        assert X.shape == (self.n_cells, 30)
        assert X.dtype == np.float32
        assert X.has_sorted_indices
        X.check_format(full_check=True)
        assert (X.data > 0).all()
        np.testing.assert_array_equal(X.data, np.rint(X.data))

    def test_empty_cells_keep_their_row(self):
        means = np.ones((self.n_cells, 30))
        means[[0, 70, self.n_cells - 1]] = 0
        sums = np.asarray(self.sample(means).sum(1)).ravel()
        assert set(np.flatnonzero(sums == 0)) == {0, 70, self.n_cells - 1}
