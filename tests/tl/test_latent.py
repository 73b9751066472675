import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch

import distaff as ds

FAST = {"batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(60, 12)
    ds.model.BetaVAE.setup_anndata(adata)
    return adata


@pytest.fixture
def model(adata):
    model = ds.model.BetaVAE(adata, n_latent=3, n_hidden=8)
    model.train(2, seed=5, check_val_every_n_epoch=2, **FAST)
    return model


def test_slots(adata, model):
    assert ds.tl.latent(adata, model) is None
    assert adata.obsm["X_distaff"].dtype == np.float32
    assert np.array_equal(adata.obsm["X_distaff"], model.get_latent_representation())
    params = adata.uns["distaff"]["params"]
    assert params["model"] == "BetaVAE"
    assert params["n_latent"] == 3
    assert params["beta"] == 10.0
    assert params["seed"] == 5
    assert params["distaff_version"] == ds.__version__
    history = adata.uns["distaff"]["history"]
    assert len(history) == 2
    assert np.array_equal(history["train_loss"], model.history["train_loss"].iloc[:, 0])
    assert history["validation_loss"].notna().tolist() == [False, True]
    assert adata.uns["distaff"]["kl_per_dimension"].shape == (2, 3)
    assert list(adata.uns["distaff"]["factors"].index) == ["Factor 1", "Factor 2", "Factor 3"]


def test_two_models_live_side_by_side_and_other_results_stay(adata, model):
    adata.uns["first"] = {"kept": 1}
    ds.tl.latent(adata, model, key="first")
    ds.tl.latent(adata, model, key="second")
    assert {"X_first", "X_second"} <= set(adata.obsm)
    assert adata.uns["first"]["kept"] == 1


def test_scores_of_another_latent_under_the_same_key_are_removed(adata, model):
    ds.tl.latent(adata, model)
    adata.uns["distaff"]["disentanglement"] = {"scores": 1}
    adata.uns["distaff"]["rank_factors"] = {"params": 1}
    adata.obsm["X_distaff_umap"] = np.zeros((60, 2))
    adata.obsm["X_distaff_tsne"] = np.zeros((60, 3))
    ds.tl.latent(adata, model)  # the same latent: nothing is stale
    assert "disentanglement" in adata.uns["distaff"]
    assert {"X_distaff_umap", "X_distaff_tsne"} <= set(adata.obsm)
    other = ds.model.BetaVAE(adata, n_latent=3, n_hidden=8)
    other.train(1, seed=9, **FAST)
    ds.tl.latent(adata, other)
    assert "disentanglement" not in adata.uns["distaff"]
    assert "rank_factors" not in adata.uns["distaff"]
    assert not {"X_distaff_umap", "X_distaff_tsne"} & set(adata.obsm)


def test_a_copy_leaves_the_original_alone(adata, model):
    before = set(adata.uns)
    copy = ds.tl.latent(adata, model, copy=True)
    assert "X_distaff" in copy.obsm
    assert not adata.obsm
    assert set(adata.uns) == before


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_slots_survive_writing(adata, model, tmp_path, form):
    ds.tl.latent(adata, model)
    ds.tl.umap(adata)
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    back = getattr(anndata, f"read_{form}")(path)
    for slot in ("X_distaff", "X_distaff_umap"):
        assert np.array_equal(back.obsm[slot], adata.obsm[slot])
    for table in ("history", "kl_per_dimension", "factors"):
        pd.testing.assert_frame_equal(
            back.uns["distaff"][table], adata.uns["distaff"][table], check_index_type=False
        )
    assert {k: str(v) for k, v in back.uns["distaff"]["params"].items()} == {
        k: str(v) for k, v in adata.uns["distaff"]["params"].items()
    }


def test_a_model_of_scvi_tools(adata):
    scvi.model.SCVI.setup_anndata(adata)
    model = scvi.model.SCVI(adata, n_latent=2, n_hidden=8)
    model.train(1, **FAST)
    ds.tl.latent(adata, model, key="scvi")
    assert adata.obsm["X_scvi"].shape == (60, 2)
    assert adata.uns["scvi"]["params"]["model"] == "SCVI"
    assert "train_loss" in adata.uns["scvi"]["history"]


def test_something_that_is_no_model(adata):
    with pytest.raises(TypeError, match=r"model must have get_latent_representation\(\), got str"):
        ds.tl.latent(adata, "BetaVAE")


def test_umap_is_seeded_and_leaves_other_slots(adata, model):
    ds.tl.latent(adata, model)
    slots = set(adata.obsp), set(adata.uns)
    ds.tl.umap(adata)
    first = adata.obsm["X_distaff_umap"]
    assert first.shape == (60, 2)
    assert (set(adata.obsp), set(adata.uns)) == slots
    ds.tl.umap(adata)
    assert np.array_equal(first, adata.obsm["X_distaff_umap"])


def test_umap_needs_its_representation(adata):
    with pytest.raises(
        KeyError, match="use_rep must name a slot of adata.obsm, got 'X_distaff'. Run tl.latent first"
    ):
        ds.tl.umap(adata)


NAMES = ["Factor 1", "stress", "Factor 3"]


@pytest.fixture
def linear(adata):
    ds.model.LinearVAE.setup_anndata(adata)
    model = ds.model.LinearVAE(adata, n_latent=3, n_hidden=8)
    model.train(2, seed=5, **FAST)
    return model


def test_names_stay_with_the_same_model(adata, linear):
    ds.tl.latent(adata, linear)
    ds.tl.rename_factors(adata, {"Factor 2": "stress"})
    for _ in range(2):
        ds.tl.latent(adata, linear)
        ds.tl.loadings(adata, linear)
        ds.tl.traverse(adata, linear)
        ds.tl.factors(adata, linear)
        entry = adata.uns["distaff"]
        assert list(entry["factors"].index) == NAMES
        assert list(entry["kl_per_dimension"]) == NAMES
        assert list(entry["traversal"]["range"].index) == NAMES
        assert list(adata.varm["distaff_loadings"]) == NAMES
        assert list(adata.varm["distaff_traversal"]) == NAMES
    own = linear.get_loadings()
    np.testing.assert_array_equal(adata.varm["distaff_loadings"], own)


@pytest.mark.parametrize("with_slot", [False, True])
def test_the_description_of_the_factors_stays_with_the_same_model(adata, linear, with_slot):
    ds.tl.latent(adata, linear)
    if with_slot:
        ds.tl.loadings(adata, linear)
    ds.tl.factors(adata, linear)
    ds.tl.rename_factors(adata, {"Factor 2": "stress"})
    before = adata.uns["distaff"]["factors"].copy()
    ds.tl.latent(adata, linear)
    pd.testing.assert_frame_equal(adata.uns["distaff"]["factors"], before)
    subset = adata[:40].copy()
    ds.tl.latent(subset, linear)  # in which the factors have other shares
    assert list(subset.uns["distaff"]["factors"]) == ["kind", "active", "kl"]


def test_the_description_of_other_loadings_goes(adata, linear):
    ds.tl.latent(adata, linear)
    ds.tl.factors(adata, linear)
    with torch.no_grad():
        linear.module.decoder.weights.raw.mul_(2.0)
    ds.tl.latent(adata, linear)
    assert list(adata.uns["distaff"]["factors"]) == ["kind", "active", "kl"]


def test_names_survive_a_file_and_noise(adata, linear, tmp_path):
    ds.tl.latent(adata, linear)
    ds.tl.rename_factors(adata, {"Factor 2": "stress"})
    adata.obsm["X_distaff"] = adata.obsm["X_distaff"] * np.float32(1.0001)  # as another device would
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = anndata.read_h5ad(tmp_path / "a.h5ad")
    ds.tl.latent(back, linear)
    assert list(back.uns["distaff"]["factors"].index) == NAMES


def test_another_model_has_its_own_names(adata, linear):
    ds.tl.latent(adata, linear)
    ds.tl.loadings(adata, linear)
    ds.tl.rename_factors(adata, {"Factor 2": "stress"})
    other = ds.model.LinearVAE(adata, n_latent=3, n_hidden=8)
    other.train(1, seed=9, **FAST)
    first = adata.copy()
    ds.tl.latent(adata, other)
    plain = ["Factor 1", "Factor 2", "Factor 3"]
    assert list(adata.uns["distaff"]["factors"].index) == plain
    assert list(adata.uns["distaff"]["kl_per_dimension"]) == plain
    assert "distaff_loadings" not in adata.varm  # they were those of the first
    ds.tl.loadings(first, other)  # in the other order the new loadings stay, under their own names
    ds.tl.latent(first, other)
    assert list(first.varm["distaff_loadings"]) == plain
    np.testing.assert_array_equal(first.varm["distaff_loadings"], other.get_loadings())


def test_another_class_has_its_own_names(adata, model, linear):
    ds.tl.latent(adata, linear)
    ds.tl.rename_factors(adata, {"Factor 2": "stress"})
    ds.tl.latent(adata, model)
    assert list(adata.uns["distaff"]["factors"].index) == ["Factor 1", "Factor 2", "Factor 3"]
