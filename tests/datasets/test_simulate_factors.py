"""Continuous programs: their truth, their counts given the truth, what can be found again, their limits."""

import hashlib
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.decomposition import NMF

from distaff import metrics
from distaff.datasets import simulate_factors
from distaff.model import AnnotatedVAE

SMALL = {"n_cells": 60, "n_genes": 300, "n_factors": 3}
PROGRAMS = [f"program_{k}" for k in range(1, 9)]


@pytest.fixture(scope="module")
def adata():
    return simulate_factors(1500, 1000, n_batches=2, prog_cell_frac=0.6, random_state=0)


def digest(adata):
    parts = [adata.X.data, adata.X.indices, adata.X.indptr, adata.obsm["program_usage"].to_numpy()]
    parts += [adata.varm["program_loadings"].to_numpy(), adata.varm["gene_sets"].to_numpy()]
    parts += [adata.obs["batch"].cat.codes.to_numpy()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def means_of(adata):
    """Mean of each cell and gene, written down from the stored truth."""
    log_effect = adata.obsm["program_usage"].to_numpy() @ adata.varm["program_loadings"].to_numpy().T
    batch = adata.varm["batch_factors"].to_numpy()[:, adata.obs["batch"].cat.codes].T
    means = adata.var["base_mean"].to_numpy() * batch * np.exp(log_effect)
    return adata.obs["library_size"].to_numpy()[:, None] * means / means.sum(1, keepdims=True)


class TestTruth:
    def test_slots(self, adata):
        assert adata.shape == (1500, 1000)
        assert list(adata.obs.columns) == ["library_size", "batch"]
        assert list(adata.obs["batch"].cat.categories) == ["batch_1", "batch_2"]
        assert list(adata.var.columns) == ["base_mean", "overdispersion"]
        assert list(adata.obsm["program_usage"].columns) == PROGRAMS
        assert adata.obsm["program_usage"].index.equals(adata.obs_names)
        for name in ("program_loadings", "program_genes", "gene_sets"):
            assert list(adata.varm[name].columns) == PROGRAMS
            assert adata.varm[name].index.equals(adata.var_names)
        assert list(adata.varm["batch_factors"].columns) == ["batch_1", "batch_2"]
        assert adata.uns["simulation"]["simulator"] == "simulate_factors"
        assert adata.uns["simulation"]["params"]["n_prog_genes"] == 50

    def test_usage_is_uniform_among_users(self, adata):
        for u in adata.obsm["program_usage"].to_numpy().T:
            assert stats.binomtest(int((u > 0).sum()), 1500, 0.6).pvalue > 1e-4
            assert stats.kstest(u[u > 0], "uniform").pvalue > 1e-4

    @pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.6])
    def test_correlation(self, correlation):
        usage = simulate_factors(5000, 100, n_factors=4, correlation=correlation).obsm["program_usage"]
        seen = stats.spearmanr(usage).statistic[np.triu_indices(4, 1)]
        np.testing.assert_allclose(seen, 6 / np.pi * np.arcsin(correlation / 2), atol=0.06)
        for u in usage.to_numpy().T:
            assert stats.kstest(u, "uniform").pvalue > 1e-4

    @pytest.mark.parametrize(("overlap", "shared"), [(0.0, 0), (0.3, 12), (0.5, 20), (1.0, 40)])
    def test_overlap(self, overlap, shared):
        adata = simulate_factors(2, 400, n_factors=4, n_prog_genes=40, overlap=overlap)
        members = adata.varm["program_genes"].to_numpy().astype(int)
        both = members.T @ members
        np.testing.assert_array_equal(np.diag(both), 40)
        np.testing.assert_array_equal(np.diag(both, 1), shared)
        np.testing.assert_array_equal(np.diag(both, 2), max(0, 2 * shared - 40))

    def test_loadings(self, adata):
        W, members = adata.varm["program_loadings"].to_numpy(), adata.varm["program_genes"].to_numpy()
        np.testing.assert_array_equal(W > 0, members)
        assert stats.kstest(W[members], stats.foldnorm(c=2, scale=0.5).cdf).pvalue > 1e-4

    def test_gene_order_tells_nothing(self, adata):
        for name in PROGRAMS:
            genes = np.flatnonzero(adata.varm["program_genes"][name])
            assert stats.kstest(genes / 1000, "uniform").pvalue > 1e-4

    def test_genes_and_cells(self, adata):
        assert stats.kstest(adata.var["base_mean"], stats.gamma(0.6).cdf).pvalue > 1e-4
        assert stats.kstest(np.log(adata.var["overdispersion"]), stats.norm(-1.6, 0.5).cdf).pvalue > 1e-4
        assert stats.kstest(np.log(adata.obs["library_size"]), stats.norm(7.6, 0.4).cdf).pvalue > 1e-4
        for b in adata.varm["batch_factors"]:
            log = np.log(adata.varm["batch_factors"][b])
            assert stats.kstest(log, stats.norm(0, 0.2).cdf).pvalue > 1e-4


class TestBatches:
    def crossing(self, confounding, program):
        adata = simulate_factors(3000, 100, n_factors=2, n_batches=3, confounding=confounding)
        third = np.ceil(3 * adata.obsm["program_usage"][program].to_numpy()) - 1
        return pd.crosstab(third, adata.obs["batch"].cat.codes).to_numpy()

    def test_no_confounding(self):
        for program in ("program_1", "program_2"):
            assert stats.chi2_contingency(self.crossing(0.0, program)).pvalue > 1e-4

    def test_full_confounding(self):
        table = self.crossing(1.0, "program_1")
        assert table.trace() == 3000
        assert stats.chi2_contingency(self.crossing(1.0, "program_2")).pvalue > 1e-4

    def test_half_confounding(self):
        table = self.crossing(0.5, "program_1")
        assert stats.binomtest(int(table.trace()), 3000, 0.5 + 0.5 / 3).pvalue > 1e-4
        assert stats.chisquare(table.sum(0)).pvalue > 1e-4

    def test_sparse_programs_too(self):
        adata = simulate_factors(500, 100, n_factors=2, n_batches=2, confounding=1.0, prog_cell_frac=0.5)
        uses = adata.obsm["program_usage"]["program_1"] > 0
        assert (uses == (adata.obs["batch"] == "batch_2")).all()

    def test_one_batch_has_no_factors(self):
        assert (simulate_factors(**SMALL).varm["batch_factors"] == 1).all(axis=None)


class TestCounts:
    """Counts against the model's moments, computed from the stored truth alone."""

    def test_mean_and_variance(self, adata):
        m, counts = means_of(adata), adata.X.toarray()
        np.testing.assert_allclose(m.sum(1), adata.obs["library_size"])
        variance = m + m**2 * adata.var["overdispersion"].to_numpy()
        expressed = m.sum(0) > 500
        z = ((counts - m).sum(0) / np.sqrt(variance.sum(0)))[expressed]
        assert expressed.sum() > 100
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.std() == pytest.approx(1, abs=0.25)
        ratio = ((counts - m) ** 2).sum(0)[expressed] / variance.sum(0)[expressed]
        assert np.median(ratio) == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_share_of_zeros(self, seed):
        adata = simulate_factors(300, 500, random_state=seed)
        m, size = means_of(adata), 1 / adata.var["overdispersion"].to_numpy()
        zero = (size / (size + m)) ** size
        surplus = (adata.X.toarray() == 0).sum() - zero.sum()
        assert abs(surplus) < 4 * np.sqrt((zero * (1 - zero)).sum())

    def test_realistic_depth(self):
        total = np.asarray(simulate_factors(500).X.sum(axis=1)).ravel()
        assert 1000 < np.quantile(total, 0.1) < np.quantile(total, 0.9) < 3600


def test_programs_can_be_found_but_not_easily():
    adata = simulate_factors(random_state=1)
    counts = adata.X.toarray()
    log = np.log1p(counts / counts.sum(1, keepdims=True) * np.median(counts.sum(1)))
    Z = NMF(9, init="nndsvda", random_state=0, max_iter=200, tol=1e-3).fit_transform(log)
    usage = adata.obsm["program_usage"]
    assert 0.8 < metrics.max_spearman(Z, usage).value < 0.97
    assert 0.25 < metrics.lms(metrics.smi(Z, usage)).value < 0.5
    assert 0.15 < metrics.mig(Z, usage).value < 0.4


def test_annotated_model_takes_it_as_it_is():
    adata = simulate_factors(
        **SMALL, n_batches=2, n_decoys=1, false_negative_rate=0.2, false_positive_rate=0.01
    )
    AnnotatedVAE.setup_anndata(adata, batch_key="batch")
    model = AnnotatedVAE(adata)
    model.train(1, seed=0, accelerator="cpu", enable_progress_bar=False)
    assert model.factor_names == ["program_1", "program_2", "program_3", "decoy_1"]


class TestSeed:
    def test_same_seed_same_data(self):
        first, second, other = (simulate_factors(**SMALL, random_state=seed) for seed in (3, 3, 4))
        assert digest(first) == digest(second)
        assert digest(first) != digest(other)

    def test_global_generator_is_left_alone(self):
        np.random.seed(1)
        before = np.random.get_state()[1].copy()
        data = digest(simulate_factors(**SMALL))
        np.testing.assert_array_equal(before, np.random.get_state()[1])
        np.random.seed(2)
        assert digest(simulate_factors(**SMALL)) == data

    def test_annotation_does_not_change_the_counts(self):
        plain, wrong = (
            simulate_factors(**SMALL),
            simulate_factors(**SMALL, false_negative_rate=0.5, n_decoys=4),
        )
        np.testing.assert_array_equal(plain.X.toarray(), wrong.X.toarray())

    def test_parameters_give_the_same_data_again(self):
        adata = simulate_factors(**SMALL, n_batches=2, confounding=0.5, n_decoys=2, random_state=7)
        record = adata.uns["simulation"]
        again = simulate_factors(**record["params"], random_state=record["random_state"])
        assert digest(again) == digest(adata)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(tmp_path, kind):
    adata = simulate_factors(**SMALL, n_batches=2, n_decoys=1)
    path = tmp_path / f"simulated.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's and zarr's own
        getattr(adata, f"write_{kind}")(path)
        back = getattr(ad, f"read_{kind}")(path)
    assert digest(back) == digest(adata)
    for name in adata.varm:
        pd.testing.assert_frame_equal(back.varm[name], adata.varm[name])
    pd.testing.assert_frame_equal(
        back.uns["gene_sets"]["coverage"], adata.uns["gene_sets"]["coverage"], check_dtype=False
    )


class TestLimits:
    def test_smallest(self):
        assert simulate_factors(1, 1, n_factors=1).X[0, 0] > 0

    def test_nobody_uses_the_programs(self):
        assert not simulate_factors(**SMALL, prog_cell_frac=0).obsm["program_usage"].to_numpy().any()

    def test_programs_without_effect_keep_their_genes(self):
        adata = simulate_factors(**SMALL, prog_fac_loc=0, prog_fac_scale=0)
        np.testing.assert_array_equal(adata.varm["program_genes"].sum(), 15)
        assert adata.varm["program_loadings"].to_numpy().max() < 1e-300

    def test_constants(self):
        adata = simulate_factors(**SMALL, lib_scale=0, overdispersion_scale=0)
        np.testing.assert_allclose(adata.obs["library_size"], np.exp(7.6))
        np.testing.assert_allclose(adata.var["overdispersion"], np.exp(-1.6))

    def test_almost_poisson(self):
        adata = simulate_factors(2000, 50, n_factors=1, overdispersion_loc=-20, overdispersion_scale=0)
        m = means_of(adata)
        ratio = ((adata.X.toarray() - m) ** 2).sum() / m.sum()
        assert ratio == pytest.approx(1, abs=0.05)

    def test_cells_without_counts(self):
        with pytest.warns(UserWarning, match=r"every cell must have counts .*, got \d+ of 60 cells"):
            simulate_factors(**SMALL, lib_loc=0)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_cells": 0}, "n_cells must be >= 1, got 0."),
            ({"n_factors": 0}, "n_factors must be >= 1, got 0."),
            ({"n_decoys": -1}, "n_decoys must be >= 0, got -1."),
            ({"n_prog_genes": 0}, "n_prog_genes must be >= 1, got 0."),
            (
                {"n_prog_genes": 101},
                "n_genes must be enough for all programs, got 300, but 3 programs of 101 genes need 303.",
            ),
            ({"overlap": 1.1}, "overlap must be <= 1.0, got 1.1."),
            ({"prog_cell_frac": -0.1}, "prog_cell_frac must be >= 0.0, got -0.1."),
            ({"correlation": -0.5}, "correlation must be > -0.5, got -0.5."),
            ({"correlation": 1}, "correlation must be < 1.0, got 1.0."),
            ({"confounding": 0.5}, "n_batches must be >= 2 for batches that are confounded with a program"),
            ({"confounding": 2, "n_batches": 2}, "confounding must be <= 1.0, got 2.0."),
            ({"false_negative_rate": 1.0}, "Every gene set must have genes, got none in 'program_1'"),
            ({"false_positive_rate": -1}, "false_positive_rate must be >= 0.0, got -1.0."),
            ({"overdispersion_loc": 6}, "overdispersion_loc must be <= 5.0, got 6.0."),
            ({"batch_fac_scale": -1}, "batch_fac_scale must be >= 0.0, got -1.0."),
            ({"prog_fac_loc": 1e4}, "gene means must be finite with a positive sum"),
            ({"lib_loc": 30}, "library sizes must be <= 1e+09 counts"),
            ({"random_state": -1}, "random_state must be >= 0, got -1."),
        ],
    )
    def test_value(self, options, message):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            simulate_factors(**(SMALL | options))
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        "name", ["n_cells", "n_genes", "n_factors", "n_batches", "n_decoys", "n_prog_genes"]
    )
    def test_integers(self, name):
        with pytest.raises(TypeError, match=f"{name} must be an integer, got 2.5"):
            simulate_factors(**{name: 2.5})
