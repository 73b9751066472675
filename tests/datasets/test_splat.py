"""The pieces of the Splatter model against closed forms and published numbers."""

import numpy as np
import pytest
from scipy import stats

from distaff.datasets import _splat as splat

SEEDS = [0, 1, 2]
GENE_MEANS = {"shape": 0.6, "rate": 0.3, "out_fac_loc": 4.0, "out_fac_scale": 0.5}  # Splatter's defaults


def bcv2(mean, bcv_common, factor=1.0):
    """Squared biological coefficient of variation, as Splatter writes it."""
    return ((bcv_common + 1 / np.sqrt(mean)) * factor) ** 2


def draw(mean, n, *, seed, bcv_common=0.1, factor=None):
    """``n`` counts with the same mean, as ``n`` genes of one cell."""
    counts = np.zeros(n, dtype=np.int64)
    factor = np.ones(n) if factor is None else factor
    position, values = splat.gamma_poisson(
        np.random.default_rng(seed), np.full((1, n), mean), bcv_common=bcv_common, bcv_factor=factor
    )
    counts[position] = values
    return counts


class TestFoldChanges:
    def test_direction_ignores_the_side_of_the_draw(self):
        draws = np.array([2.0, 2.0, 0.5, 0.5, 2.0])
        selected = np.array([1, 1, 1, 1, 0], dtype=bool)
        down = np.array([0, 1, 0, 1, 0], dtype=bool)
        result = splat.fold_changes(draws, selected=selected, down=down)
        np.testing.assert_allclose(result, [2.0, 0.5, 2.0, 0.5, 1.0], atol=1e-12)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_kimmels_distribution(self, seed):
        # log D ~ N(2, 1): median e^2 and 2.275 % of the draws below 1, which are inverted
        rng = np.random.default_rng(seed)
        D = splat.lognormal_fold_changes(rng, np.ones(20_000, dtype=bool), down_prob=0, loc=2, scale=1)
        assert D.min() >= 1
        folded = stats.foldnorm(c=2)  # |N(2, 1)|
        assert stats.kstest(np.log(D), folded.cdf).pvalue > 1e-4
        assert np.median(D) == pytest.approx(7.38905609893065, rel=0.05)
        assert D.mean() == pytest.approx(12.182493960703473, rel=0.1)

    def test_all_down(self):
        rng = np.random.default_rng(0)
        D = splat.lognormal_fold_changes(rng, np.ones(100, dtype=bool), down_prob=1, loc=2, scale=1)
        assert D.max() <= 1


class TestLibrarySizes:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_lognormal(self, seed):
        sizes = splat.library_sizes(np.random.default_rng(seed), 20_000, loc=7.64, scale=0.78)
        assert stats.kstest(np.log(sizes), stats.norm(7.64, 0.78).cdf).pvalue > 1e-4
        quantiles = [0.1, 0.5, 0.9]
        expected = np.exp(stats.norm(7.64, 0.78).ppf(quantiles))
        np.testing.assert_allclose(np.quantile(sizes, quantiles), expected, rtol=0.04)

    def test_scale_zero_is_constant(self):
        sizes = splat.library_sizes(np.random.default_rng(0), 10, loc=np.log(1000), scale=0)
        np.testing.assert_allclose(sizes, 1000)

    @pytest.mark.parametrize("loc", [25.0, 1e4])
    def test_absurd_sizes_are_refused(self, loc):
        with pytest.raises(ValueError, match=r"library sizes must be <= 1e\+09 counts, got .* Lower lib_loc"):
            splat.library_sizes(np.random.default_rng(0), 10, loc=loc, scale=0)


class TestGeneMeans:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_gamma(self, seed):
        means, outlier = splat.gene_means(np.random.default_rng(seed), 20_000, out_prob=0, **GENE_MEANS)
        assert not outlier.any()
        assert stats.kstest(means, stats.gamma(0.6, scale=1 / 0.3).cdf).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_outliers_are_lognormal_around_the_median_gene(self, seed):
        plain, _ = splat.gene_means(np.random.default_rng(seed), 20_000, out_prob=0, **GENE_MEANS)
        means, outlier = splat.gene_means(np.random.default_rng(seed), 20_000, out_prob=0.05, **GENE_MEANS)
        assert outlier.mean() == pytest.approx(0.05, abs=0.006)
        np.testing.assert_array_equal(means[~outlier], plain[~outlier])
        factors = means[outlier] / np.median(plain)
        assert stats.kstest(np.log(factors), stats.norm(4, 0.5).cdf).pvalue > 1e-4


class TestMeans:
    def test_scsim_cell(self):
        base = np.array([1.0, 2.0, 3.0, 4.0])
        profiles = np.stack([splat.profile(base, np.array(de)) for de in ([1, 2, 1, 1], [1, 1, 1, 3])])
        means = splat.mixture_means(np.array([1000.0]), np.array([[0.6, 0.4]]), profiles)
        expected = [[72.22222222222221, 244.44444444444443, 216.66666666666669, 466.6666666666667]]
        np.testing.assert_allclose(means, expected, atol=1e-9)

    def test_cells_sum_to_their_library(self):
        rng = np.random.default_rng(0)
        library, usage = rng.uniform(10, 1e4, 20), rng.dirichlet(np.ones(3), 20)
        profiles = rng.dirichlet(np.ones(50), 3)
        means = splat.mixture_means(library, usage, profiles)
        np.testing.assert_allclose(means.sum(1), library, rtol=1e-12)
        np.testing.assert_allclose(means, library[:, None] * (usage @ profiles), rtol=1e-12)

    @pytest.mark.parametrize("means", [[0.0, 0.0], [1.0, np.inf], [1.0, np.nan]])
    def test_impossible_profile(self, means):
        with pytest.raises(ValueError, match="gene means must be finite with a positive sum, got a sum of"):
            splat.profile(np.array(means), np.ones(2))


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
        position, counts = splat.gamma_poisson(
            np.random.default_rng(0), np.repeat(means, 100, axis=0), bcv_common=0.1, bcv_factor=np.ones(3)
        )
        assert set(position % 3) == {1}
        assert counts.min() > 0

    def test_no_counts_at_all(self):
        position, counts = splat.gamma_poisson(
            np.random.default_rng(0), np.zeros((4, 3)), bcv_common=0.1, bcv_factor=np.ones(3)
        )
        assert len(position) == len(counts) == 0

    def test_very_dispersed_and_very_large(self):
        counts = draw(1e8, 1000, seed=0, bcv_common=0.0)
        assert counts.mean() == pytest.approx(1e8, rel=1e-4)
        assert draw(1.0, 100, seed=0, bcv_common=50.0).min() >= 0


class TestDispersionFactors:
    def test_chi_square(self):
        factor = splat.dispersion_factors(np.random.default_rng(0), 20_000, df=22.087)
        assert stats.kstest(22.087 / factor**2, stats.chi2(22.087).cdf).pvalue > 1e-4

    def test_infinite_df(self):
        np.testing.assert_array_equal(splat.dispersion_factors(np.random.default_rng(0), 5, df=np.inf), 1)


class TestSampleCounts:
    n_cells = 3 * splat.BLOCK_CELLS + 5

    def sample(self, means, seed=0):
        return splat.sample_counts(
            np.random.SeedSequence(seed),
            lambda block: means[block],
            n_cells=len(means),
            bcv_common=0.1,
            bcv_factor=np.ones(means.shape[1]),
        )

    def test_blocks_have_streams_of_their_own(self):
        means = np.random.default_rng(0).gamma(1, 1, (self.n_cells, 30))
        whole = self.sample(means).toarray()
        first = self.sample(means[: splat.BLOCK_CELLS]).toarray()
        np.testing.assert_array_equal(whole[: splat.BLOCK_CELLS], first)
        means[0] = 0  # what happens in one block stays in it
        changed = self.sample(means).toarray()
        assert not changed[0].any()
        np.testing.assert_array_equal(whole[splat.BLOCK_CELLS :], changed[splat.BLOCK_CELLS :])

    def test_blocks_differ(self):
        dense = self.sample(np.full((self.n_cells, 30), 5.0)).toarray()
        assert not np.array_equal(
            dense[: splat.BLOCK_CELLS], dense[splat.BLOCK_CELLS : 2 * splat.BLOCK_CELLS]
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
