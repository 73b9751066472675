"""The pieces of the Splatter model against closed forms and published numbers."""

import numpy as np
import pytest
from scipy import stats

from distaff.datasets import _splat as splat
from distaff.datasets._counts import sample_counts

SEEDS = [0, 1, 2]
GENE_MEANS = {"shape": 0.6, "rate": 0.3, "out_fac_loc": 4.0, "out_fac_scale": 0.5}  # Splatter's defaults


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
        means, outlier, factors = splat.gene_means(
            np.random.default_rng(seed), 20_000, out_prob=0, **GENE_MEANS
        )
        np.testing.assert_array_equal(factors, 1)
        assert not outlier.any()
        assert stats.kstest(means, stats.gamma(0.6, scale=1 / 0.3).cdf).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_outliers_are_lognormal_around_the_median_gene(self, seed):
        plain, _, _ = splat.gene_means(np.random.default_rng(seed), 20_000, out_prob=0, **GENE_MEANS)
        means, outlier, factors = splat.gene_means(
            np.random.default_rng(seed), 20_000, out_prob=0.05, **GENE_MEANS
        )
        assert outlier.mean() == pytest.approx(0.05, abs=0.006)
        np.testing.assert_array_equal(means[~outlier], plain[~outlier])
        np.testing.assert_allclose(factors[outlier], means[outlier] / np.median(plain))
        np.testing.assert_array_equal(factors[~outlier], 1)
        assert stats.kstest(np.log(factors[outlier]), stats.norm(4, 0.5).cdf).pvalue > 1e-4


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


class TestDispersionFactors:
    def test_chi_square(self):
        factor = splat.dispersion_factors(np.random.default_rng(0), 20_000, df=22.087)
        assert stats.kstest(22.087 / factor**2, stats.chi2(22.087).cdf).pvalue > 1e-4

    def test_infinite_df(self):
        np.testing.assert_array_equal(splat.dispersion_factors(np.random.default_rng(0), 5, df=np.inf), 1)


class TestDropout:
    def test_logistic(self):
        probability = splat.dropout_probability(np.array([0.0, 1.0, np.e, 10.0]), mid=0.0, shape=-1.0)
        np.testing.assert_allclose(probability, [1.0, 0.5, 0.2689414213699951, 1 / 11], atol=1e-12)

    @pytest.mark.parametrize("mean", [0.8, 15.0])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_same_as_rates_drawn_first(self, mean, seed):
        # the rate given the count, against Splatter's order: rate, count, dropout by the rate
        n, mid, shape = 30_000, 0.5, -1.5
        means, scale = np.full((n // 100, 100), mean), splat.bcv_scale(0.3, np.ones(100))
        child, other = np.random.SeedSequence(seed).spawn(2)
        X = sample_counts(child, lambda block: means[block], scale, n_cells=n // 100, n_genes=100)
        ours = splat.drop_counts(
            other,
            X,
            lambda block: means[block],
            scale,
            mid=np.full(len(means), mid),
            shape=np.full(len(means), shape),
        )
        assert (ours.toarray() <= X.toarray()).all()
        ours.check_format(full_check=True)

        rng = np.random.default_rng(seed + 100)
        theta = (1 + 0.3 * np.sqrt(mean)) ** 2
        rate = rng.gamma(mean / theta, theta, n)
        keep = rng.random(n) >= 1 / (1 + np.exp(-shape * (np.log(rate) - mid)))
        direct = rng.poisson(rate) * keep
        seen = ours.toarray().ravel()
        edges = np.unique(np.quantile(direct, [0, 0.5, 0.7, 0.8, 0.9, 0.95])).astype(int)
        table = [np.histogram(np.minimum(x, edges[-1]), [*edges, np.inf])[0] for x in (seen, direct)]
        assert stats.chi2_contingency(table).pvalue > 1e-4

    def test_curve_of_each_cell(self):
        means, scale = np.full((130, 50), 5.0), splat.bcv_scale(0.1, np.ones(50))
        X = sample_counts(
            np.random.SeedSequence(0), lambda block: means[block], scale, n_cells=130, n_genes=50
        )
        mid = np.where(np.arange(130) % 2, 1e9, -1e9)  # all counts of every other cell
        kept = splat.drop_counts(
            np.random.SeedSequence(1), X, lambda block: means[block], scale, mid=mid, shape=np.full(130, -1.0)
        ).toarray()
        assert not kept[1::2].any()
        np.testing.assert_array_equal(kept[::2], X.toarray()[::2])
