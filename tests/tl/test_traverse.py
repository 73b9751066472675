"""tl.traverse: equals the loadings where it must, for all decoders, and changes nothing else."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch

import distaff as ds
from distaff import tl
from distaff.model import _traversal

TRAINING = {"accelerator": "cpu", "enable_progress_bar": False}


def trained(cls, adata, **options):
    cls.setup_anndata(adata, batch_key="batch")
    model = cls(adata, **options)
    model.train(2, **TRAINING)
    return model


def centred(table: pd.DataFrame) -> np.ndarray:
    return (table - table.mean()).to_numpy()


def test_equals_the_loadings_times_the_range_for_a_linear_decoder(make_adata) -> None:
    adata = make_adata(covariates=True)
    model = trained(ds.model.LinearVAE, adata, n_latent=3)
    tl.traverse(adata, model)
    tl.loadings(adata, model, centered=True)
    ends = adata.uns["distaff"]["traversal"]["range"]
    Z = model.get_latent_representation()
    np.testing.assert_allclose(ends.to_numpy().T, np.percentile(Z, (1, 99), axis=0), rtol=1e-5)
    expected = adata.varm["distaff_loadings"] * (ends["high"] - ends["low"])
    np.testing.assert_allclose(centred(adata.varm["distaff_traversal"]), expected, atol=1e-5)
    assert np.abs(expected.to_numpy()).max() > 1e-2
    assert list(adata.varm["distaff_traversal"]) == model.factor_names


def test_equals_the_loadings_of_linear_scvi(make_adata) -> None:
    adata = make_adata(covariates=True)
    model = trained(scvi.model.LinearSCVI, adata, n_latent=3)
    tl.traverse(adata, model)
    ends = adata.uns["distaff"]["traversal"]["range"]
    expected = centred(model.get_loadings()) * (ends["high"] - ends["low"]).to_numpy()
    np.testing.assert_allclose(centred(adata.varm["distaff_traversal"]), expected, atol=1e-5)


def test_is_the_mean_over_cells_and_their_covariates(make_adata) -> None:
    """Cell by cell, with the expression that the model itself gives for the moved latent."""
    adata = make_adata(30, covariates=True)
    model = trained(scvi.model.SCVI, adata, n_latent=2)
    tl.traverse(adata, model, percentiles=(10, 90), batch_size=7)
    Z = torch.tensor(model.get_latent_representation())
    batch = torch.tensor(adata.obs["batch"].cat.codes.to_numpy(copy=True)).long()[:, None]
    ends = adata.uns["distaff"]["traversal"]["range"]
    for k, factor in enumerate(ends.index):
        logs = []
        for end in ("low", "high"):
            z = Z.clone()
            z[:, k] = float(ends.loc[factor, end])
            with torch.inference_mode():
                px = model.module.generative(z, torch.zeros(30, 1), batch)["px"]
            logs.append(px.scale.log().mean(0).numpy())
        expected = logs[1] - logs[0]
        np.testing.assert_allclose(adata.varm["distaff_traversal"][factor], expected, atol=1e-5)


@pytest.mark.parametrize("cls", [ds.model.BetaVAE, scvi.model.SCVI])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_blocks_do_not_matter_and_stay_small(make_adata, monkeypatch, cls, batch_size) -> None:
    adata = make_adata(50, covariates=True)
    model = trained(cls, adata, n_latent=3)
    whole = tl.traverse(adata, model, copy=True).varm["distaff_traversal"]
    n_values = []
    log_expression = _traversal._log_expression

    def measured(module, inputs):
        found = log_expression(module, inputs)
        n_values.append(found.numel())
        return found

    monkeypatch.setattr(_traversal, "_log_expression", measured)
    monkeypatch.setattr(_traversal, "BLOCK", 20 * 30)  # 30 rows of 20 genes
    tl.traverse(adata, model, batch_size=batch_size)
    np.testing.assert_allclose(adata.varm["distaff_traversal"], whole, rtol=1e-5, atol=1e-7)
    assert np.abs(whole.to_numpy()).max() > 1e-3
    assert max(n_values) <= 20 * 30
    assert sum(n_values) == 50 * 3 * 2 * 20


def test_shares_are_those_of_the_generative_part(make_adata) -> None:
    adata = make_adata(covariates=True)
    for cls in (ds.model.LinearVAE, ds.model.BetaVAE, ds.model.ProgramVAE):
        model = trained(cls, adata)
        assert model.module.gives_shares
        z = torch.from_numpy(model.get_latent_representation())
        batch = torch.tensor(adata.obs["batch"].cat.codes.to_numpy(copy=True)).long()[:, None]
        with torch.inference_mode():
            expected = model.module.generative(z, torch.zeros(60, 1), batch)["px"].scale.log()
            found = model.module.log_shares(z, batch)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_drvi(make_adata) -> None:
    DRVI = getattr(scvi.external, "DRVI", None)
    if DRVI is None:
        pytest.skip("scvi-tools before 1.5 has no DRVI")
    adata = make_adata(covariates=True)
    DRVI.setup_anndata(adata, batch_key="batch")
    model = DRVI(adata, n_latent=4)
    model.train(2, **TRAINING)
    tl.traverse(adata, model)
    effects = adata.varm["distaff_traversal"].to_numpy()
    assert effects.shape == (20, 4)
    assert np.isfinite(effects).all()
    assert np.abs(effects).max() > 0


@pytest.mark.parametrize(
    "cls",
    [ds.model.BetaVAE, ds.model.SparseVAE, ds.model.ProgramVAE, ds.model.Autoencoder],
)
def test_models_of_every_kind(make_adata, cls) -> None:
    adata = make_adata(covariates=True)
    model = trained(cls, adata)
    tl.traverse(adata, model)
    effects = adata.varm["distaff_traversal"]
    assert np.isfinite(effects.to_numpy()).all()
    assert list(effects) == model.factor_names
    # a share of a total cannot rise for all genes
    assert (effects.min() <= 1e-6).all()
    assert (effects.max() >= -1e-6).all()


def test_normal_likelihood_gives_differences(make_adata) -> None:
    adata = make_adata()
    adata.X = np.log1p(adata.X.toarray()) - 1
    ds.model.FactorVAE.setup_anndata(adata, allow_non_integer=True)
    model = ds.model.FactorVAE(adata, n_latent=3, decoder="linear", likelihood="normal")
    model.train(2, **TRAINING)
    tl.traverse(adata, model)
    ends = adata.uns["distaff"]["traversal"]["range"]
    expected = model.get_loadings() * (ends["high"] - ends["low"])
    np.testing.assert_allclose(adata.varm["distaff_traversal"], expected, atol=1e-5)


def test_is_deterministic_and_draws_cells_by_its_seed(make_adata) -> None:
    adata = make_adata(covariates=True)
    model = trained(ds.model.BetaVAE, adata, n_latent=3)
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    tables = []
    for seed in (0, 0, 1):
        other = tl.traverse(adata, model, n_cells=20, random_state=seed, copy=True)
        tables.append(other.varm["distaff_traversal"])
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])
    assert other.uns["distaff"]["traversal"]["params"]["n_cells"] == 20
    assert "distaff_traversal" not in adata.varm
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])
    assert torch.equal(torch.get_rng_state(), state[1])


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(make_adata, tmp_path, kind) -> None:
    adata = make_adata()
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, n_latent=2)
    model.train(1, **TRAINING)
    tl.traverse(adata, model)
    path = tmp_path / f"a.{kind}"
    getattr(adata, f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path)
    pd.testing.assert_frame_equal(back.varm["distaff_traversal"], adata.varm["distaff_traversal"])
    expected = adata.uns["distaff"]["traversal"]
    pd.testing.assert_frame_equal(back.uns["distaff"]["traversal"]["range"], expected["range"])
    assert list(back.uns["distaff"]["traversal"]["params"]["percentiles"]) == [1, 99]


def test_bad_input(make_adata) -> None:
    adata = make_adata()
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, n_latent=2)
    model.train(1, **TRAINING)
    with pytest.raises(TypeError, match="encoder and a decoder.*got object"):
        tl.traverse(adata, object())
    for percentiles in ((99, 1), (5, 5)):
        with pytest.raises(ValueError, match="percentiles must rise"):
            tl.traverse(adata, model, percentiles=percentiles)
    with pytest.raises(ValueError, match="percentiles must be <= 100"):
        tl.traverse(adata, model, percentiles=(1, 101))
    with pytest.raises(ValueError, match="n_cells must be >= 1"):
        tl.traverse(adata, model, n_cells=0)


@pytest.mark.parametrize("kind", ["latent_posterior_parameters", "latent_posterior_parameters_with_counts"])
def test_minified_data_give_the_same(make_adata, kind) -> None:
    adata = make_adata(covariates=True)
    model = trained(ds.model.SparseVAE, adata, n_latent=3)
    full = tl.traverse(adata, model, copy=True)
    model.minify_adata(kind)
    tl.traverse(model.adata, model)
    expected = full.varm["distaff_traversal"]
    np.testing.assert_allclose(model.adata.varm["distaff_traversal"], expected, atol=1e-6)
    assert np.abs(expected.to_numpy()).max() > 1e-3
    pd.testing.assert_frame_equal(
        model.adata.uns["distaff"]["traversal"]["range"], full.uns["distaff"]["traversal"]["range"]
    )
    with pytest.raises(ValueError, match="adata must be minified as the data of the model are"):
        tl.traverse(adata, model)


def test_minified_data_of_scvi(make_adata) -> None:
    adata = make_adata(covariates=True)
    model = trained(scvi.model.SCVI, adata, n_latent=2)
    full = tl.traverse(adata, model, copy=True)
    mean, variance = model.get_latent_representation(return_dist=True)
    model.adata.obsm["X_latent_qzm"], model.adata.obsm["X_latent_qzv"] = mean, variance
    model.minify_adata()
    tl.traverse(model.adata, model)
    expected = full.varm["distaff_traversal"]
    np.testing.assert_allclose(model.adata.varm["distaff_traversal"], expected, atol=1e-6)
