"""The simulated experiment: its truth, its counts given the truth, its limits."""

import hashlib
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.decomposition import NMF, PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from distaff.datasets import simulate_gep

PROGRAMS = [*(f"identity_{i}" for i in range(1, 6)), "activity_1"]


@pytest.fixture(scope="module")
def adata():
    return simulate_gep(2000, 1000, random_state=0)


def digest(adata):
    parts = [adata.X.data, adata.X.indices, adata.X.indptr, adata.obsm["program_usage"].to_numpy()]
    parts += [adata.varm["program_effects"].to_numpy(), adata.obs["cell_type"].cat.codes.to_numpy()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def means_of(adata):
    """Mean of each cell and gene, written down from the stored truth."""
    profiles = adata.varm["program_effects"].to_numpy() * adata.var["base_mean"].to_numpy()[:, None]
    shares = adata.obsm["program_usage"].to_numpy() @ (profiles / profiles.sum(0)).T
    return adata.obs["library_size"].to_numpy()[:, None] * shares


def log_normalised(adata):
    counts = adata.X.toarray()
    return np.log1p(counts / counts.sum(1, keepdims=True) * np.median(counts.sum(1)))


class TestTruth:
    def test_slots(self, adata):
        assert adata.shape == (2000, 1000)
        assert adata.obs_names.is_unique
        assert adata.var_names.is_unique
        assert list(adata.obs["cell_type"].cat.categories) == PROGRAMS[:5]
        for frame, names in [
            (adata.obsm["program_usage"], adata.obs_names),
            (adata.varm["program_effects"], adata.var_names),
        ]:
            assert isinstance(frame, pd.DataFrame)
            assert list(frame.columns) == PROGRAMS
            assert frame.index.equals(names)
        assert list(adata.var.columns) == ["base_mean", "is_outlier", "dispersion_factor"]
        record = adata.uns["simulation"]
        assert record["simulator"] == "simulate_gep"
        assert record["random_state"] == 0
        assert record["params"]["n_prog_genes"] == 40

    def test_usage(self, adata):
        usage = adata.obsm["program_usage"]
        np.testing.assert_allclose(usage.sum(axis=1), 1)
        activity = usage["activity_1"].to_numpy()
        users = activity > 0
        own = usage.to_numpy()[np.arange(2000), adata.obs["cell_type"].cat.codes]
        np.testing.assert_allclose(own, 1 - activity)
        may_use = adata.obs["cell_type"].isin(PROGRAMS[:3]).to_numpy()
        assert not users[~may_use].any()
        assert stats.binomtest(int(users.sum()), int(may_use.sum()), 0.35).pvalue > 1e-4
        assert stats.kstest(activity[users], stats.uniform(0.1, 0.6).cdf).pvalue > 1e-4

    def test_identities_are_equally_frequent(self, adata):
        assert stats.chisquare(adata.obs["cell_type"].value_counts()).pvalue > 1e-4

    def test_effects(self, adata):
        effects = adata.varm["program_effects"].to_numpy()
        member = effects != 1
        assert (effects >= 1).all()
        assert member[:, 5].sum() == 40
        assert not (member[:, 5] & member[:, :5].any(1)).any()
        assert stats.binomtest(int(member[:, :5].sum()), 5 * 960, 0.025).pvalue > 1e-4

    def test_gene_order_tells_nothing(self, adata):
        activity = np.flatnonzero(adata.varm["program_effects"]["activity_1"] != 1)
        assert stats.kstest(activity / 1000, "uniform").pvalue > 1e-4


class TestCounts:
    """Counts against the model's moments, computed from the stored truth alone."""

    def test_means_sum_to_the_library(self, adata):
        np.testing.assert_allclose(means_of(adata).sum(1), adata.obs["library_size"])

    def test_mean_and_variance(self, adata):
        m = means_of(adata)
        b2 = (0.448 + m**-0.5) ** 2 * adata.var["dispersion_factor"].to_numpy() ** 2
        variance = m + m**2 * b2
        counts = adata.X.toarray()
        expressed = m.sum(0) > 500
        z = ((counts - m).sum(0) / np.sqrt(variance.sum(0)))[expressed]
        assert expressed.sum() > 100
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.std() == pytest.approx(1, abs=0.25)
        ratio = ((counts - m) ** 2).sum(0)[expressed] / variance.sum(0)[expressed]
        assert np.median(ratio) == pytest.approx(1, abs=0.1)

    def test_share_of_zeros(self, adata):
        m = means_of(adata)
        size = 1 / ((0.448 + m**-0.5) * adata.var["dispersion_factor"].to_numpy()) ** 2
        zero = (size / (size + m)) ** size
        surplus = (adata.X.toarray() == 0).sum() - zero.sum()
        assert abs(surplus) < 4 * np.sqrt((zero * (1 - zero)).sum())

    def test_genes_of_a_program_are_up_where_it_is_used(self, adata):
        shares = adata.X.toarray() / adata.X.sum(1).A1[:, None]
        usage, effects = adata.obsm["program_usage"], adata.varm["program_effects"]
        for program in PROGRAMS:
            genes = (effects[program] > 4).to_numpy() & (adata.var["base_mean"] > 0.005).to_numpy()
            users = (usage[program] > 0.5).to_numpy()
            others = (usage[program] == 0).to_numpy()
            assert (shares[users][:, genes].mean(0) > shares[others][:, genes].mean(0)).mean() > 0.95


class TestRecovery:
    """A linear method must find what we put in, otherwise no model can be judged by it."""

    def test_pca_separates_the_identities(self, adata):
        Z = PCA(10, random_state=0).fit_transform(log_normalised(adata))
        model = LogisticRegression(max_iter=2000)
        assert cross_val_score(model, Z, adata.obs["cell_type"], cv=3).mean() > 0.97

    def test_nmf_finds_every_program(self, adata):
        usage = adata.obsm["program_usage"]
        W = NMF(6, init="nndsvda", random_state=0, max_iter=300, tol=1e-3).fit_transform(
            log_normalised(adata)
        )
        for program in PROGRAMS:
            truth = usage[program].to_numpy()
            best = max(abs(stats.spearmanr(w, truth).statistic) for w in W.T)
            zeros = (truth == 0).mean()
            assert best > 0.9 * np.sqrt(1 - zeros**3)  # the most that a score without ties can reach
        users = usage["activity_1"].to_numpy() > 0
        within = [stats.spearmanr(w[users], usage["activity_1"][users]).statistic for w in W.T]
        assert max(within) > 0.75


class TestSeed:
    def test_same_seed_same_data(self):
        first, second, other = (simulate_gep(150, 200, random_state=seed) for seed in (3, 3, 4))
        assert digest(first) == digest(second)
        assert digest(first) != digest(other)

    def test_numpy_integer(self):
        assert digest(simulate_gep(50, 200, random_state=np.int64(3))) == digest(
            simulate_gep(50, 200, random_state=3)
        )

    def test_global_generator_is_left_alone(self):
        np.random.seed(1)
        before = np.random.get_state()[1].copy()
        data = digest(simulate_gep(50, 200))
        np.testing.assert_array_equal(before, np.random.get_state()[1])
        np.random.seed(2)
        assert digest(simulate_gep(50, 200)) == data

    def test_cells_do_not_change_the_programs(self):
        # each part has a stream of its own
        few, many = simulate_gep(30, 200), simulate_gep(60, 200, lib_loc=8.0, n_active_identities=2)
        pd.testing.assert_frame_equal(few.varm["program_effects"], many.varm["program_effects"])


class TestFiles:
    @pytest.mark.parametrize("options", [{}, {"bcv_df": np.inf, "n_active_identities": 0, "n_identities": 1}])
    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    def test_round_trip(self, tmp_path, kind, options):
        adata = simulate_gep(40, 200, **options)
        path = tmp_path / f"simulated.{kind}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anndata's and zarr's own
            getattr(adata, f"write_{kind}")(path)
            back = getattr(ad, f"read_{kind}")(path)
        assert digest(back) == digest(adata)
        pd.testing.assert_frame_equal(back.obs, adata.obs)
        pd.testing.assert_frame_equal(back.var, adata.var)
        pd.testing.assert_frame_equal(back.obsm["program_usage"], adata.obsm["program_usage"])
        pd.testing.assert_frame_equal(back.varm["program_effects"], adata.varm["program_effects"])
        params = back.uns["simulation"]["params"]
        assert params.keys() == adata.uns["simulation"]["params"].keys()
        for name, value in adata.uns["simulation"]["params"].items():
            np.testing.assert_array_equal(params[name], value)

    def test_parameters_give_the_same_data_again(self):
        adata = simulate_gep(
            40, 200, random_state=7, group_prob=[0.5, 0.5], n_identities=2, n_active_identities=1
        )
        record = adata.uns["simulation"]
        again = simulate_gep(**record["params"], random_state=record["random_state"])
        assert digest(again) == digest(adata)


class TestLimits:
    def test_one_identity(self):
        adata = simulate_gep(50, 200, n_identities=1, n_active_identities=1)
        assert list(adata.obsm["program_usage"].columns) == ["identity_1", "activity_1"]

    def test_no_activity(self):
        adata = simulate_gep(50, 200, n_active_identities=0)
        assert list(adata.obsm["program_usage"].columns) == PROGRAMS[:5]
        np.testing.assert_array_equal(np.sort(adata.obsm["program_usage"].to_numpy())[:, -1], 1)
        assert adata.uns["simulation"]["params"]["n_prog_genes"] == 0

    def test_no_cell_uses_the_activity(self):
        adata = simulate_gep(50, 200, prog_cell_frac=0)
        assert not adata.obsm["program_usage"]["activity_1"].any()

    def test_activity_alone(self):
        adata = simulate_gep(
            50, 200, prog_cell_frac=1, min_prog_usage=1, max_prog_usage=1, n_active_identities=5
        )
        np.testing.assert_array_equal(adata.obsm["program_usage"]["activity_1"], 1)

    def test_no_differential_expression(self):
        effects = simulate_gep(50, 200, de_prob=0).varm["program_effects"]
        assert (effects[PROGRAMS[:5]] == 1).all(axis=None)

    def test_every_gene_in_every_identity(self):
        member = simulate_gep(50, 200, de_prob=1).varm["program_effects"] != 1
        assert (member[PROGRAMS[:5]].all(axis=1) != member["activity_1"]).all()

    def test_down(self):
        effects = simulate_gep(50, 200, de_down_prob=1, prog_down_prob=1).varm["program_effects"]
        assert (effects <= 1).all(axis=None)

    def test_constants(self):
        adata = simulate_gep(50, 200, lib_scale=0, bcv_df=np.inf, bcv_common=0, out_prob=0)
        np.testing.assert_allclose(adata.obs["library_size"], np.exp(7.64))
        np.testing.assert_array_equal(adata.var["dispersion_factor"], 1)
        assert not adata.var["is_outlier"].any()

    def test_absent_identity_stays_a_category(self):
        adata = simulate_gep(50, 200, group_prob=[1, 0, 0, 0, 0])
        assert list(adata.obs["cell_type"].cat.categories) == PROGRAMS[:5]
        assert (adata.obs["cell_type"] == "identity_1").all()

    def test_smallest(self):
        adata = simulate_gep(1, 1, n_identities=1, n_active_identities=0, de_prob=0)
        assert adata.X[0, 0] > 0

    def test_genes_of_mean_zero(self):
        # a gamma of this shape underflows to 0 for most genes
        adata = simulate_gep(30, 200, mean_shape=1e-3)
        zero = (adata.var["base_mean"] == 0).to_numpy()
        assert zero.any()
        assert np.isfinite(adata.X.data).all()
        assert not adata.X[:, zero].sum()


class TestWarnings:
    def test_cells_without_counts(self):
        with pytest.warns(
            UserWarning, match=r"every cell must have counts .*, got \d+ of 50 cells .*filter_cells"
        ):
            adata = simulate_gep(50, 200, lib_loc=0)
        assert adata.n_obs == 50

    def test_programs_without_genes(self):
        with pytest.warns(UserWarning, match="programs must have genes, got none in 'identity_1'"):
            simulate_gep(50, 20, de_prob=1e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_cells": 0}, "n_cells must be >= 1, got 0."),
            ({"n_genes": 0}, "n_genes must be >= 1, got 0."),
            ({"n_identities": 0}, "n_identities must be >= 1, got 0."),
            ({"n_active_identities": 6}, "n_active_identities must be <= n_identities, got 6 > 5."),
            ({"n_active_identities": -1}, "n_active_identities must be >= 0, got -1."),
            ({"n_prog_genes": 201}, "n_prog_genes must be <= n_genes, got 201 > 200."),
            (
                {"n_prog_genes": 0},
                "n_prog_genes and n_active_identities must both be above 0 or both be 0, got 0 and 3.",
            ),
            (
                {"group_prob": [0.5, 0.5]},
                "group_prob must have one entry for each of n_identities=5, got 2 entries.",
            ),
            ({"group_prob": [0.5] * 5}, "group_prob must sum to 1, got 2.5."),
            ({"group_prob": [-1, 2, 0, 0, 0]}, "group_prob must be >= 0.0, got -1."),
            ({"min_prog_usage": 0.8}, "min_prog_usage must be <= max_prog_usage, got 0.8 > 0.7."),
            ({"max_prog_usage": 1.1}, "max_prog_usage must be <= 1.0, got 1.1."),
            ({"de_prob": 2}, "de_prob must be <= 1.0, got 2."),
            ({"prog_cell_frac": -0.1}, "prog_cell_frac must be >= 0.0, got -0.1."),
            ({"mean_shape": 0}, "mean_shape must be > 0.0, got 0."),
            ({"mean_rate": -1}, "mean_rate must be > 0.0, got -1."),
            ({"lib_scale": -1}, "lib_scale must be >= 0.0, got -1."),
            ({"lib_loc": np.nan}, "lib_loc must be finite, got nan."),
            ({"bcv_df": 2}, "bcv_df must be > 2, got 2."),
            ({"bcv_df": np.nan}, "bcv_df must be finite, got nan."),
            ({"bcv_common": -0.1}, "bcv_common must be >= 0.0, got -0.1."),
            ({"random_state": -1}, "random_state must be >= 0, got -1."),
            ({"random_state": 2**63}, "random_state must be < 2**63, got 9223372036854775808."),
            ({"de_fac_loc": -1e4}, "gene means must be finite with a positive sum, got a sum of"),
            ({"de_fac_loc": 1e4}, "gene means must be finite with a positive sum, got a sum of"),
            (
                {"out_fac_loc": 1e4, "out_prob": 1},
                "gene means must be finite with a positive sum, got a sum of",
            ),
        ],
    )
    def test_value(self, options, message):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            simulate_gep(**({"n_cells": 20, "n_genes": 200} | options))
        assert message in str(caught.value)

    @pytest.mark.parametrize("name", ["n_cells", "n_genes", "n_identities", "random_state"])
    def test_integers(self, name):
        with pytest.raises(TypeError, match=f"{name} must be an integer, got 2.5"):
            simulate_gep(**{name: 2.5})

    def test_group_prob(self):
        with pytest.raises(TypeError, match=r"group_prob must be a sequence of probabilities, got 0\.5\."):
            simulate_gep(20, 200, group_prob=0.5)

    @pytest.mark.parametrize("name", ["lib_loc", "de_prob", "bcv_df"])
    def test_numbers(self, name):
        with pytest.raises(TypeError, match=f"{name} must be a number, got 'a'"):
            simulate_gep(**{name: "a"})
