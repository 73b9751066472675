"""Splatter's experiment: its truth, its counts given the truth, its limits."""

import hashlib
import inspect
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distaff.datasets import simulate_splat

SEEDS = [0, 1, 2]
SMALL = {"batch_cells": [40, 20], "n_genes": 200, "group_prob": [0.5, 0.3, 0.2], "lib_loc": 7.0}
DROPPED = {"batch_cells": [300, 300], "n_genes": 200, "lib_loc": 6.5, "group_prob": [0.5, 0.5]}

# Splatter's own defaults under its own names
SPLATTER = {
    "batchCells": 100,
    "nGenes": 10_000,
    "batch.facLoc": 0.1,
    "batch.facScale": 0.1,
    "mean.shape": 0.6,
    "mean.rate": 0.3,
    "lib.loc": 11,
    "lib.scale": 0.2,
    "out.prob": 0.05,
    "out.facLoc": 4,
    "out.facScale": 0.5,
    "group.prob": (1.0,),
    "de.prob": 0.1,
    "de.downProb": 0.5,
    "de.facLoc": 0.1,
    "de.facScale": 0.4,
    "bcv.common": 0.1,
    "bcv.df": 60,
    "dropout.type": "none",
    "dropout.mid": 0,
    "dropout.shape": -1,
}


@pytest.fixture(scope="module")
def adata():
    return simulate_splat(
        [600, 400], 1000, group_prob=[0.5, 0.3, 0.2], batch_fac_loc=[0.1, 0.4], lib_loc=8.5, random_state=0
    )


def digest(adata):
    parts = [adata.X.data, adata.X.indices, adata.X.indptr, adata.varm["de_factors"].to_numpy()]
    parts += [adata.varm["batch_factors"].to_numpy(), adata.obs["group"].cat.codes.to_numpy()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def means_of(adata):
    """Mean of each cell and gene, written down from the stored truth."""
    fold = adata.varm["de_factors"].to_numpy()[:, adata.obs["group"].cat.codes]
    batch = adata.varm["batch_factors"].to_numpy()[:, adata.obs["batch"].cat.codes]
    means = adata.var["base_mean"].to_numpy()[:, None] * fold * batch
    return (means / means.sum(0) * adata.obs["library_size"].to_numpy()).T


def variance_of(adata, bcv_common=0.1):
    m = means_of(adata)
    return m + (m * (bcv_common + m**-0.5) * adata.var["dispersion_factor"].to_numpy()) ** 2


def test_names_and_defaults_are_splatters():
    defaults = {name: p.default for name, p in inspect.signature(simulate_splat).parameters.items()}
    assert defaults.pop("random_state") == 0
    in_python = {}
    for name, value in SPLATTER.items():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name.replace(".", "_"))
        in_python[snake] = value
    assert defaults == in_python


class TestTruth:
    def test_slots(self, adata):
        assert adata.shape == (1000, 1000)
        assert list(adata.obs.columns) == ["group", "batch", "library_size"]
        assert list(adata.obs["group"].cat.categories) == ["group_1", "group_2", "group_3"]
        assert adata.obs["batch"].to_list() == ["batch_1"] * 600 + ["batch_2"] * 400
        assert list(adata.var.columns) == ["base_mean", "outlier_factor", "dispersion_factor"]
        assert list(adata.varm["de_factors"].columns) == ["group_1", "group_2", "group_3"]
        assert list(adata.varm["batch_factors"].columns) == ["batch_1", "batch_2"]
        for frame in adata.varm.values():
            assert frame.index.equals(adata.var_names)
        assert not adata.layers
        record = adata.uns["simulation"]
        assert record["simulator"] == "simulate_splat"
        assert record["random_state"] == 0
        np.testing.assert_array_equal(record["params"]["batch_fac_loc"], [0.1, 0.4])

    def test_groups(self, adata):
        seen = adata.obs["group"].value_counts().reindex(["group_1", "group_2", "group_3"])
        assert stats.chisquare(seen, [500, 300, 200]).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_library_is_lognormal(self, seed):
        library = simulate_splat(2000, 20, random_state=seed).obs["library_size"]
        assert stats.kstest(np.log(library), stats.norm(11, 0.2).cdf).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_genes(self, seed):
        var = simulate_splat(1, 5000, random_state=seed).var
        outlier = (var["outlier_factor"] != 1).to_numpy()
        assert stats.binomtest(int(outlier.sum()), 5000, 0.05).pvalue > 1e-4
        means = var["base_mean"].to_numpy()
        assert stats.kstest(means[~outlier], stats.gamma(0.6, scale=1 / 0.3).cdf).pvalue > 1e-4
        factors = var["outlier_factor"].to_numpy()[outlier]
        assert stats.kstest(np.log(factors), stats.norm(4, 0.5).cdf).pvalue > 1e-4
        ratio = means[outlier] / factors  # the median of all gamma means
        np.testing.assert_allclose(ratio, ratio[0])
        assert ratio[0] == pytest.approx(stats.gamma(0.6, scale=1 / 0.3).median(), rel=0.1)
        assert stats.kstest(60 / var["dispersion_factor"] ** 2, stats.chi2(60).cdf).pvalue > 1e-4

    @pytest.mark.parametrize("seed", SEEDS)
    def test_group_factors(self, seed):
        adata = simulate_splat(
            2, 5000, group_prob=[0.5, 0.5], de_prob=[0.1, 0.4], de_down_prob=[0.5, 0.2], random_state=seed
        )
        for k, (prob, down) in enumerate([(0.1, 0.5), (0.4, 0.2)]):
            D = adata.varm["de_factors"].iloc[:, k].to_numpy()
            D = D[D != 1]
            assert stats.binomtest(len(D), 5000, prob).pvalue > 1e-4
            assert stats.binomtest(int((D < 1).sum()), len(D), down).pvalue > 1e-4
            assert stats.kstest(np.abs(np.log(D)), stats.foldnorm(c=0.1 / 0.4, scale=0.4).cdf).pvalue > 1e-4

    def test_batch_factors(self, adata):
        for b, loc in enumerate([0.1, 0.4]):
            log = np.log(adata.varm["batch_factors"].iloc[:, b])
            assert stats.binomtest(int((log < 0).sum()), 1000, 0.5).pvalue > 1e-4
            assert stats.kstest(np.abs(log), stats.foldnorm(c=loc / 0.1, scale=0.1).cdf).pvalue > 1e-4


class TestCounts:
    """Counts against the model's moments, computed from the stored truth alone."""

    def test_mean_and_variance(self, adata):
        m, variance, counts = means_of(adata), variance_of(adata), adata.X.toarray()
        np.testing.assert_allclose(m.sum(1), adata.obs["library_size"])
        expressed = m.sum(0) > 500
        z = ((counts - m).sum(0) / np.sqrt(variance.sum(0)))[expressed]
        assert expressed.sum() > 100
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.std() == pytest.approx(1, abs=0.25)
        ratio = ((counts - m) ** 2).sum(0)[expressed] / variance.sum(0)[expressed]
        assert np.median(ratio) == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_zeros(self, seed):
        adata = simulate_splat([200, 200], 500, group_prob=[0.5, 0.5], lib_loc=7.5, random_state=seed)
        m = means_of(adata)
        size = m**2 / (variance_of(adata) - m)
        zero = (size / (size + m)) ** size
        surplus = (adata.X.toarray() == 0).sum() - zero.sum()
        assert abs(surplus) < 4 * np.sqrt((zero * (1 - zero)).sum())

    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_gene_is_negative_binomial(self, seed):
        adata = simulate_splat(5000, 20, lib_scale=0, lib_loc=5, random_state=seed)
        m, variance = means_of(adata)[0], variance_of(adata)[0]
        for g in np.argsort(m)[[-10, -5, -1]]:
            size = m[g] ** 2 / (variance[g] - m[g])
            law = stats.nbinom(size, size / (size + m[g]))
            counts = adata.X[:, g].toarray().ravel().astype(int)
            uniform = law.cdf(counts) - np.random.default_rng(seed).random(5000) * law.pmf(counts)
            assert stats.kstest(uniform, "uniform").pvalue > 1e-4  # randomised, so that it is exact


class TestDropout:
    def test_true_counts_are_those_without_dropout(self):
        plain = simulate_splat(**DROPPED)
        dropped = simulate_splat(**DROPPED, dropout_type="experiment")
        np.testing.assert_array_equal(dropped.layers["true_counts"].toarray(), plain.X.toarray())
        pd.testing.assert_frame_equal(dropped.obs, plain.obs)
        lost = dropped.X.toarray() != plain.X.toarray()
        assert not dropped.X.toarray()[lost].any()
        assert 0.1 < lost.sum() / plain.X.nnz < 0.9

    def test_share_of_dropped_counts(self):
        # E[logistic(log rate) given the count], by quadrature over the gamma rate
        adata = simulate_splat(**DROPPED, dropout_type="experiment", dropout_mid=0.3)
        m, true = means_of(adata), adata.layers["true_counts"].toarray()
        theta = (variance_of(adata) - m) / m
        for count in (1, 2, 5):
            at = true == count
            law = stats.gamma(m[at] / theta[at] + count, scale=theta[at] / (1 + theta[at]))
            rates = law.ppf((np.arange(200)[:, None] + 0.5) / 200)
            expected = (1 / (1 + np.exp(np.log(rates) - 0.3))).mean(0)
            lost = (adata.X.toarray()[at] == 0).sum()
            assert abs(lost - expected.sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())

    @pytest.mark.parametrize(("kind", "column"), [("batch", "batch"), ("group", "group")])
    def test_by_batch_or_group(self, kind, column):
        adata = simulate_splat(**DROPPED, dropout_type=kind, dropout_mid=[-1e9, 1e9])
        second = adata.obs[column].cat.codes.to_numpy() == 1
        counts, true = adata.X.toarray(), adata.layers["true_counts"].toarray()
        np.testing.assert_array_equal(counts[~second], true[~second])
        assert not counts[second].any()

    @pytest.fixture(autouse=True)
    def _empty_cells_are_meant(self):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "every cell must have counts")
            yield

    def test_by_cell(self):
        mid = np.where(np.arange(600) % 3 == 0, 1e9, -1e9)
        adata = simulate_splat(**DROPPED, dropout_type="cell", dropout_mid=mid)
        np.testing.assert_array_equal(np.diff(adata.X.indptr) == 0, np.arange(600) % 3 == 0)


class TestSeed:
    def test_same_seed_same_data(self):
        first, second, other = (simulate_splat(**SMALL, random_state=seed) for seed in (3, 3, 4))
        assert digest(first) == digest(second)
        assert digest(first) != digest(other)

    def test_global_generator_is_left_alone(self):
        np.random.seed(1)
        before = np.random.get_state()[1].copy()
        data = digest(simulate_splat(**SMALL))
        np.testing.assert_array_equal(before, np.random.get_state()[1])
        np.random.seed(2)
        assert digest(simulate_splat(**SMALL)) == data

    def test_parameters_give_the_same_data_again(self):
        adata = simulate_splat(**SMALL, dropout_type="batch", dropout_mid=[0, 1], random_state=7)
        record = adata.uns["simulation"]
        again = simulate_splat(**record["params"], random_state=record["random_state"])
        assert digest(again) == digest(adata)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(tmp_path, kind):
    adata = simulate_splat(**SMALL, dropout_type="group", bcv_df=np.inf)
    path = tmp_path / f"simulated.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's and zarr's own
        getattr(adata, f"write_{kind}")(path)
        back = getattr(ad, f"read_{kind}")(path)
    assert digest(back) == digest(adata)
    pd.testing.assert_frame_equal(back.obs, adata.obs)
    pd.testing.assert_frame_equal(back.var, adata.var)
    for name in adata.varm:
        pd.testing.assert_frame_equal(back.varm[name], adata.varm[name])
    for name, value in adata.uns["simulation"]["params"].items():
        np.testing.assert_array_equal(back.uns["simulation"]["params"][name], value)


class TestLimits:
    def test_one_group_and_one_batch_have_no_factors(self):
        adata = simulate_splat(50, 200, de_prob=1)
        assert (adata.varm["de_factors"] == 1).all(axis=None)
        assert (adata.varm["batch_factors"] == 1).all(axis=None)

    def test_no_or_all_genes_differ(self):
        groups = {"group_prob": [0.5, 0.5]}
        assert (simulate_splat(50, 200, de_prob=0, **groups).varm["de_factors"] == 1).all(axis=None)
        assert (simulate_splat(50, 200, de_prob=1, **groups).varm["de_factors"] != 1).all(axis=None)
        assert (simulate_splat(50, 200, de_prob=1, de_down_prob=1, **groups).varm["de_factors"] < 1).all(
            axis=None
        )

    def test_constants(self):
        adata = simulate_splat(50, 200, lib_scale=0, bcv_df=np.inf, out_prob=0)
        np.testing.assert_allclose(adata.obs["library_size"], np.exp(11))
        np.testing.assert_array_equal(adata.var["dispersion_factor"], 1)
        np.testing.assert_array_equal(adata.var["outlier_factor"], 1)

    def test_no_batch_effect(self):
        adata = simulate_splat([20, 20], 200, batch_fac_loc=0, batch_fac_scale=0)
        assert (adata.varm["batch_factors"] == 1).all(axis=None)

    def test_absent_group_stays_a_category(self):
        adata = simulate_splat(50, 200, group_prob=[1, 0])
        assert list(adata.obs["group"].cat.categories) == ["group_1", "group_2"]
        assert (adata.obs["group"] == "group_1").all()

    def test_smallest(self):
        assert simulate_splat(1, 1).X[0, 0] > 0

    def test_genes_of_mean_zero(self):
        adata = simulate_splat(30, 200, mean_shape=1e-3, dropout_type="experiment")
        zero = (adata.var["base_mean"] == 0).to_numpy()
        assert zero.any()
        assert not adata.X[:, zero].sum()

    def test_cells_without_counts(self):
        with pytest.warns(UserWarning, match=r"every cell must have counts .*, got \d+ of 50 cells"):
            simulate_splat(50, 200, lib_loc=0)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_cells": 0}, "batch_cells must be >= 1, got 0."),
            ({"batch_cells": [10, 0]}, "batch_cells must be >= 1, got 0."),
            ({"batch_cells": []}, "batch_cells must be a number of cells, or one for each batch, got []."),
            ({"n_genes": 0}, "n_genes must be >= 1, got 0."),
            ({"group_prob": [0.5, 0.2]}, "group_prob must sum to 1, got 0.7."),
            ({"group_prob": []}, "group_prob must sum to 1, got 0.0."),
            (
                {"de_prob": [0.1, 0.2]},
                "de_prob must be a number, or have one entry for each group (1), got 2 entries.",
            ),
            ({"de_prob": 1.5}, "de_prob must be <= 1.0, got 1.5."),
            (
                {"batch_fac_loc": [0.1, 0.2, 0.3], "batch_cells": [5, 5]},
                "batch_fac_loc must be a number, or have one entry for each batch (2), got 3 entries.",
            ),
            ({"batch_fac_scale": -1}, "batch_fac_scale must be >= 0.0, got -1."),
            ({"dropout_type": "gene"}, "dropout_type must be one of 'none', 'experiment', 'batch'"),
            (
                {"dropout_mid": [0, 1]},
                "dropout_mid must be a number, or have one entry for each experiment (1)",
            ),
            ({"dropout_shape": np.nan}, "dropout_shape must be finite, got nan."),
            ({"bcv_df": 2}, "bcv_df must be > 2, got 2."),
            ({"lib_loc": 30}, "library sizes must be <= 1e+09 counts"),
            ({"out_fac_loc": 1e4, "out_prob": 1}, "gene means must be finite with a positive sum"),
            ({"random_state": -1}, "random_state must be >= 0, got -1."),
        ],
    )
    def test_value(self, options, message):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            simulate_splat(**({"batch_cells": 20, "n_genes": 200} | options))
        assert message in str(caught.value)

    @pytest.mark.parametrize("value", [2.5, "a", [2.5]])
    def test_cells_are_whole_numbers(self, value):
        with pytest.raises(TypeError, match="batch_cells must be an integer"):
            simulate_splat(value, 20)

    def test_numbers(self):
        with pytest.raises(TypeError, match="de_prob must be a number, got 'a'"):
            simulate_splat(20, 20, de_prob="a")
        with pytest.raises(TypeError, match="group_prob must be a sequence of probabilities"):
            simulate_splat(20, 20, group_prob=1.0)
