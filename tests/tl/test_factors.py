"""tl.factors: shares, ranks and directions against their formulas, for models and for slots alone."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi

import distaff as ds

FAST = {"batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
WITHOUT = ["kind", "active", "kl", "rank", "variance_explained", "direction"]
WITH = [*WITHOUT[:5], "l2_norm", "n_genes", "direction", "top_genes"]


@pytest.fixture
def adata(make_adata):
    adata = make_adata(60, 12)
    ds.pp.gene_sets(adata, {"a": adata.var_names[:5], "c": adata.var_names[4:9]}, min_genes=2)
    return adata


@pytest.fixture
def by_hand():
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((50, 20), dtype=np.float32))
    adata.var_names = [f"g{i}" for i in range(20)]
    Z = rng.normal(size=(50, 4)) * [1.0, 5.0, 2.0, 0.0]
    L = rng.normal(size=(20, 4))
    L[3, 0], L[7, 1] = -9.0, 9.0
    adata.obsm["X_own"] = Z
    adata.varm["own_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=list("ABCD"))
    return adata


def trained(adata, model_class, **options):
    model_class.setup_anndata(adata)
    model = model_class(adata, **options)
    model.train(2, **FAST)
    return model


def table_of(adata, key="distaff"):
    return adata.uns[key]["factors"]


def test_slots_alone(by_hand):
    assert ds.tl.factors(by_hand, key="own", n_top=2) is None
    table = table_of(by_hand, "own")
    assert list(table) == WITH
    assert list(table.index) == list("ABCD")
    assert table["active"].tolist() == [True, True, True, False]
    assert table["kl"].isna().all()
    assert set(table["kind"]) == {"latent"}
    L = by_hand.varm["own_loadings"]
    strength = by_hand.obsm["X_own"].var(axis=0) * ((L - L.mean()) ** 2).sum()
    np.testing.assert_allclose(table["variance_explained"], strength / strength.sum(), atol=1e-12)
    assert table["rank"].tolist() == [*(-strength[:3]).rank().astype(int), 4]
    np.testing.assert_allclose(table["l2_norm"], np.linalg.norm(L, axis=0))
    assert table["n_genes"].tolist() == [20] * 4
    assert table["direction"].tolist()[:2] == [-1, 1]
    assert table["top_genes"].str.split(", ").str[0].tolist()[:2] == ["g3", "g7"]
    assert (table["top_genes"].str.count(", ") == 1).all()


def test_direction_ignores_the_constant_that_a_softmax_leaves_free(by_hand):
    ds.tl.factors(by_hand, key="own")
    before = table_of(by_hand, "own")
    by_hand.varm["own_loadings"] += [50.0, -50.0, 3.0, 0.0]
    ds.tl.factors(by_hand, key="own")
    columns = ["rank", "direction", "top_genes"]
    pd.testing.assert_frame_equal(before[columns], table_of(by_hand, "own")[columns])


def test_turned_factors_are_turned_back(by_hand):
    ds.tl.factors(by_hand, key="own")
    before = table_of(by_hand, "own")
    by_hand.varm["own_loadings"] *= -1
    by_hand.obsm["X_own"] = by_hand.obsm["X_own"] * -1
    ds.tl.factors(by_hand, key="own")
    after = table_of(by_hand, "own")
    assert (before["direction"] == -after["direction"]).all()
    assert (before["top_genes"] == after["top_genes"]).all()


@pytest.mark.parametrize("slot", ["latent", "loadings"])
def test_a_sign_that_is_no_choice_stays(by_hand, slot):
    if slot == "latent":
        by_hand.obsm["X_own"] = np.abs(by_hand.obsm["X_own"])
    else:
        by_hand.varm["own_loadings"] = by_hand.varm["own_loadings"] + 20  # no negative loading
    ds.tl.factors(by_hand, key="own")
    assert (table_of(by_hand, "own")["direction"] == 1).all()


def test_without_loadings_the_share_is_that_of_the_latent(by_hand):
    del by_hand.varm["own_loadings"]
    ds.tl.factors(by_hand, key="own")
    table = table_of(by_hand, "own")
    assert list(table) == WITHOUT
    variance = by_hand.obsm["X_own"].var(axis=0)
    np.testing.assert_allclose(table["variance_explained"], variance / variance.sum(), atol=1e-12)
    assert (table["direction"] == 1).all()


def test_a_single_factor_explains_everything(by_hand):
    del by_hand.varm["own_loadings"]
    by_hand.obsm["X_own"] = by_hand.obsm["X_own"][:, :1]
    ds.tl.factors(by_hand, key="own")
    assert table_of(by_hand, "own")["variance_explained"].tolist() == [1.0]


def test_sparse_loadings_count_their_genes(by_hand):
    L = by_hand.varm["own_loadings"].to_numpy().copy()
    L[4:, 1] = 0.0
    L[:4, 1] = [1.0, 2.0, -0.5, 3.0]
    L[:, 2] = 0.0
    by_hand.varm["own_loadings"] = L  # an array has no names
    ds.tl.factors(by_hand, key="own", n_top=10)
    table = table_of(by_hand, "own")
    assert table.loc["Factor 2", ["n_genes", "top_genes"]].tolist() == [4, "g3, g1, g0"]
    assert table.loc["Factor 3", ["n_genes", "top_genes", "variance_explained"]].tolist() == [0, "", 0.0]


def test_a_model_whose_latent_was_written(adata):
    model = trained(adata, ds.model.AnnotatedVAE, n_dense=1)
    ds.tl.latent(adata, model)
    before = table_of(adata)
    ds.tl.factors(adata, model)
    table = table_of(adata)
    assert list(table) == WITH
    pd.testing.assert_frame_equal(table[list(before)], before)
    terms = model.get_terms()
    np.testing.assert_allclose(table["l2_norm"], terms["l2_norm"], rtol=1e-6)
    assert (table["n_genes"] == terms["n_genes"]).all()
    sets = table["kind"] == "annotated"
    assert (table["direction"] == terms["direction"])[sets].all()
    assert sets.sum() == 2


def test_slots_alone_say_the_same_as_the_model(adata):
    model = trained(adata, ds.model.AnnotatedVAE, n_dense=1)
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    ds.tl.factors(adata, model)
    first = table_of(adata)
    ds.tl.factors(adata, model)
    pd.testing.assert_frame_equal(table_of(adata), first)
    ds.tl.factors(adata)
    pd.testing.assert_frame_equal(table_of(adata), first)
    ds.tl.latent(adata, model)
    pd.testing.assert_frame_equal(table_of(adata), first)


@pytest.mark.parametrize("name", ["ProgramVAE", "BetaVAE", "SparseVAE", "LinearVAE", "Autoencoder"])
def test_models_of_ours(adata, name):
    options = {"layers": (8,)} if name == "Autoencoder" else {}
    model = trained(adata, getattr(ds.model, name), n_latent=3, **options)
    ds.tl.latent(adata, model)
    ds.tl.factors(adata, model)
    table = table_of(adata)
    linear = name in {"ProgramVAE", "LinearVAE"}
    assert list(table) == (WITH if linear else WITHOUT)
    assert sorted(table["rank"]) == [1, 2, 3]
    varies = bool(np.ptp(adata.obsm["X_distaff"], axis=0).any())  # programs may all lie below their noise
    assert table["variance_explained"].sum() == pytest.approx(float(varies))
    if name == "SparseVAE":  # positive where it is on
        means = adata.obsm["X_distaff"].mean(axis=0)
        assert (table["direction"] == np.where(means < 0, -1, 1)).all()
    elif name != "LinearVAE":
        assert (table["direction"] == 1).all()


def test_factors_of_an_fsclvm(adata):
    model = trained(adata, ds.model.FSCLVM, n_dense=1)
    ds.tl.latent(adata, model)
    ds.tl.factors(adata, model)
    assert list(table_of(adata)) == WITH
    assert table_of(adata).index.tolist() == ["a", "c", "Dense 1"]
    belong = (model.get_gene_inclusion() > 0.5).sum()
    assert table_of(adata)["n_genes"].tolist() == belong.tolist()
    assert (belong[["a", "c"]] < adata.n_vars).all()
    ds.tl.loadings(adata, model)
    ds.tl.factors(adata)  # no loading is 0: which genes belong, the model alone could tell
    assert table_of(adata)["n_genes"].tolist() == belong.tolist()


def test_linear_scvi(adata):
    model = trained(adata, scvi.model.LinearSCVI, n_latent=3)
    ds.tl.latent(adata, model, key="ldvae")
    ds.tl.loadings(adata, model, key="ldvae")
    ds.tl.factors(adata, key="ldvae")
    alone = table_of(adata, "ldvae")
    ds.tl.factors(adata, model, key="ldvae")
    pd.testing.assert_frame_equal(table_of(adata, "ldvae"), alone)
    assert list(alone) == WITH
    assert alone.index.tolist() == ["Factor 1", "Factor 2", "Factor 3"]


def test_a_latent_of_others_without_a_threshold(adata):
    model = trained(adata, scvi.model.SCVI, n_latent=2, n_hidden=8, latent_distribution="ln")
    ds.tl.latent(adata, model)
    ds.tl.factors(adata, model)
    assert list(table_of(adata)) == WITHOUT
    assert table_of(adata)["active"].all()


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_survives_writing(by_hand, tmp_path, form):
    ds.tl.factors(by_hand, key="own")
    path = tmp_path / f"a.{form}"
    getattr(by_hand, f"write_{form}")(path)
    back = getattr(anndata, f"read_{form}")(path)
    pd.testing.assert_frame_equal(table_of(back, "own"), table_of(by_hand, "own"), check_index_type=False)
    ds.tl.factors(back, key="own")
    pd.testing.assert_frame_equal(table_of(back, "own"), table_of(by_hand, "own"), check_index_type=False)


def test_a_copy_and_other_entries(by_hand):
    by_hand.uns["own"] = {"kept": 1}
    other = ds.tl.factors(by_hand, key="own", copy=True)
    assert set(other.uns["own"]) == {"kept", "factors"}
    assert set(by_hand.uns["own"]) == {"kept"}


def test_bad_input(by_hand, adata):
    with pytest.raises(KeyError, match=r"Run tl.latent first"):
        ds.tl.factors(by_hand)
    with pytest.raises(ValueError, match=r"n_top must be >= 1"):
        ds.tl.factors(by_hand, key="own", n_top=0)
    model = trained(adata, ds.model.BetaVAE, n_latent=3)
    adata.obsm["X_distaff"] = np.zeros((60, 2))
    with pytest.raises(ValueError, match=r"got 3 factors for a latent of 2. Run distaff.tl.latent"):
        ds.tl.factors(adata, model)
    ds.tl.factors(by_hand, key="own")
    by_hand.varm["own_loadings"] = by_hand.varm["own_loadings"].rename(columns={"A": "E"})
    with pytest.raises(ValueError, match=r"adata.varm\['own_loadings'\] must have a column .* 'A', 'B'"):
        ds.tl.factors(by_hand, key="own")
    by_hand.varm["own_loadings"] = np.full((20, 4), np.nan)
    with pytest.raises(ValueError, match="Loadings must be finite, got missing values only"):
        ds.tl.factors(by_hand, key="own")


def test_genes_that_were_not_modelled_are_left_out():
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((30, 8)))
    adata.obsm["X_pca"] = rng.normal(size=(30, 2))
    loadings = rng.normal(size=(8, 2))
    adata.varm["pca_loadings"] = np.where(np.arange(8)[:, None] < 6, loadings, np.nan)
    ds.tl.factors(adata, key="pca")
    table = adata.uns["pca"]["factors"]
    assert table["n_genes"].tolist() == [6, 6]
    assert np.isfinite(table["variance_explained"]).all()
