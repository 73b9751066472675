"""tl.loadings: values, names, what other loadings take with them, and models that have none."""

from __future__ import annotations

import numpy as np
import pytest
import scvi

import distaff as ds

FAST = {"batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}


def trained(cls, adata):
    cls.setup_anndata(adata)
    model = cls(adata, n_latent=3)
    model.train(1, **FAST)
    return model


@pytest.fixture
def adata(make_adata):
    adata = make_adata(60, 12)
    ds.pp.gene_sets(adata, {"a": adata.var_names[:5], "c": adata.var_names[4:9]}, min_genes=2)
    return adata


def test_values_in_the_order_of_adata(adata):
    model = trained(ds.model.LinearVAE, adata)
    own = model.get_loadings()
    turned = adata[:, ::-1].copy()
    ds.tl.loadings(turned, model)
    np.testing.assert_array_equal(turned.varm["distaff_loadings"], own.iloc[::-1])
    ds.tl.loadings(adata, model, centered=True)
    np.testing.assert_allclose(adata.varm["distaff_loadings"], own - own.mean())


def test_other_loadings_take_their_results_with_them(adata):
    first, second = (trained(ds.model.LinearVAE, adata) for _ in range(2))
    second.train(2, **FAST)
    ds.tl.latent(adata, first)
    ds.tl.loadings(adata, first)
    ds.tl.factors(adata)
    ds.tl.enrich(adata)
    ds.tl.loadings(adata, first)  # the same: nothing is stale
    assert "enrich" in adata.uns["distaff"]
    assert "top_genes" in adata.uns["distaff"]["factors"]
    ds.tl.loadings(adata, second)
    assert "enrich" not in adata.uns["distaff"]
    assert list(adata.uns["distaff"]["factors"]) == ["kind", "active", "kl"]
    assert "params" in adata.uns["distaff"]


def test_tests_of_other_loadings_stay(adata):
    first, second = (trained(ds.model.LinearVAE, adata) for _ in range(2))
    second.train(2, **FAST)
    ds.tl.loadings(adata, first)
    adata.varm["other"] = adata.varm["distaff_loadings"].copy()
    ds.tl.enrich(adata, use_loadings="other")
    ds.tl.loadings(adata, second)
    assert "enrich" in adata.uns["distaff"]


def test_models_without_loadings_are_told_the_way_out(adata):
    for cls in (ds.model.BetaVAE, scvi.model.SCVI):
        model = trained(cls, adata)
        with pytest.raises(TypeError, match=rf"got {cls.__name__}\. .*tl\.traverse\(adata, model\)"):
            ds.tl.loadings(adata, model)


def test_genes_that_the_model_does_not_know(adata, make_adata):
    model = trained(ds.model.LinearVAE, adata)
    with pytest.raises(ValueError, match="Genes of adata must be in the model, got 8 that are not: 'gene12'"):
        ds.tl.loadings(make_adata(10, 20), model)
