"""What tl.latent says of the factors of each model."""

import numpy as np
import pandas as pd
import pytest
import scvi
import torch

import distaff as ds

FAST = {"batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
OWN = {
    "BetaVAE": {"n_latent": 3},
    "LinearVAE": {"n_latent": 3, "latent": "logistic_normal"},
    "SparseVAE": {"n_latent": 3},
    "ProgramVAE": {"n_latent": 3},
    "Autoencoder": {"n_latent": 3, "layers": (8,)},
    "AnnotatedVAE": {"n_dense": 1},
    "FSCLVM": {"n_dense": 1, "n_sparse": 1},
}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(60, 12)
    ds.pp.gene_sets(adata, {"a": adata.var_names[:5], "c": adata.var_names[4:9]}, min_genes=2)
    return adata


def trained(adata, name, **options):
    model_class = getattr(ds.model, name)
    model_class.setup_anndata(adata)
    model = model_class(adata, **options)
    model.train(2, seed=0, **FAST)
    return model


def table_of(adata, model):
    ds.tl.latent(adata, model)
    return adata.uns["distaff"]["factors"]


@pytest.mark.parametrize("name", OWN)
def test_every_model_of_ours(adata, name):
    table = table_of(adata, trained(adata, name, **OWN[name]))
    assert list(table.columns) == ["kind", "active", "kl"]
    assert len(table) == adata.obsm["X_distaff"].shape[1]
    assert table["active"].dtype == bool
    if name == "Autoencoder":  # a code has no prior
        assert table["kl"].isna().all()
        assert table["active"].all()
    else:
        assert (table["kl"] > 0).all()
    if name == "AnnotatedVAE":
        assert table["kind"].to_dict() == {"a": "annotated", "c": "annotated", "Dense 1": "dense"}
    elif name == "FSCLVM":
        assert table["kind"].tolist() == ["annotated", "annotated", "sparse", "dense"]
    else:
        assert table["kind"].to_dict() == {f"Factor {i}": "latent" for i in (1, 2, 3)}


def test_kl_is_that_of_the_elbo(adata):
    model = trained(adata, "BetaVAE", n_latent=3, beta=1.0)
    table = table_of(adata, model)
    mean, variance = model.get_latent_representation(return_dist=True)
    expected = 0.5 * (mean**2 + variance - 1 - np.log(variance)).mean(axis=0)
    np.testing.assert_allclose(table["kl"], expected, rtol=1e-5)


def test_a_dimension_that_the_encoder_holds_still_is_inactive(adata):
    model = trained(adata, "ProgramVAE", n_latent=3, gate=True)
    with torch.no_grad():
        slab = model.module.posterior.slab.mean
        slab.weight *= 50  # it was hardly trained
        slab.weight[1], slab.bias[1] = 0.0, 0.0
        model.module.posterior.logits.weight[1] = 0.0
    table = table_of(adata, model)
    assert table["active"].tolist() == [True, False, True]


def test_threshold_is_in_units_of_the_prior(adata):
    model = ds.model.FactorVAE
    model.setup_anndata(adata)
    units = {
        prior: model(adata, n_latent=3, prior=prior).latent_unit
        for prior in ("normal", "softplus_normal", "exponential", "logistic_normal")
    }
    # softplus(0.5) - softplus(-0.5) is 1/2; ln(Phi(0.5) / Phi(-0.5)) = 0.807
    expected = {"normal": 1.0, "softplus_normal": 0.5, "exponential": 0.8069, "logistic_normal": 1.0}
    assert units == pytest.approx(expected, abs=1e-3)


def test_a_factor_without_loadings_is_inactive(adata):
    model = trained(adata, "AnnotatedVAE", n_dense=1)
    with torch.no_grad():
        model.module.posterior.mean.weight *= 50  # it was hardly trained
    before = table_of(adata, model)
    name = "c"
    with torch.no_grad():
        for parameter in model.module.decoder.parameters():
            if parameter.shape == (12, 3):
                parameter[:, 1] = 0.0
    assert (model.get_loadings()[name] == 0).all()
    after = table_of(adata, model)
    assert before.loc[name, "active"]
    assert after["active"].to_dict() == {**before["active"].to_dict(), name: False}


def test_models_of_others(adata):
    scvi.model.SCVI.setup_anndata(adata)
    for latent, there in (("normal", True), ("ln", False)):
        model = scvi.model.SCVI(adata, n_latent=2, n_hidden=8, latent_distribution=latent)
        model.train(1, **FAST)
        ds.tl.latent(adata, model)
        assert ("factors" in adata.uns["distaff"]) == there  # that of the first latent is gone
        if there:
            table = adata.uns["distaff"]["factors"]
            assert table.index.tolist() == ["Factor 1", "Factor 2"]
            assert table["kl"].isna().all()


def test_minified_data_have_no_kl(adata):
    model = trained(adata, "BetaVAE", n_latent=3)
    whole = table_of(adata, model)
    model.minify_adata()
    table = table_of(model.adata, model)
    assert table["kl"].isna().all()
    pd.testing.assert_series_equal(table["active"], whole["active"])
    with pytest.raises(ValueError, match="from counts, got minified"):
        model.get_kl_per_dimension()


def test_prior_of_all_dimensions_together(adata):
    ds.model.FactorVAE.setup_anndata(adata)
    model = ds.model.FactorVAE(adata, n_latent=3, n_hidden=8, prior="vamp")
    model.train(2, seed=0, **FAST)
    assert table_of(adata, model)["kl"].isna().all()
