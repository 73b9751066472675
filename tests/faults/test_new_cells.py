"""New cells for a trained model: for its latent, for a query, and for a model that is loaded."""

import logging

import numpy as np
import pandas as pd
import pytest


def reverse(adata):
    return adata[:, ::-1].copy()


def fewer(adata):
    return adata[:, :9].copy()


def others(adata):
    adata.var_names = [f"other{i}" for i in range(20)]
    return adata


def log(adata):
    adata.X = adata.X.log1p()
    return adata


def negative(adata):
    adata.X.data[0] = -2
    return adata


def unknown_batch(adata):
    adata.obs["batch"] = pd.Categorical(["b0"] * 59 + ["new"])
    return adata


def batch_zero(adata):
    """A number that counts as false."""
    adata.obs["batch"] = 0
    return adata


def no_batch(adata):
    del adata.obs["batch"]
    return adata


def missing_batch(adata):
    adata.obs.loc["cell7", "batch"] = np.nan
    return adata


def repeated(adata):
    adata.var_names = ["g0", "g0", *adata.var_names[2:]]
    return adata


ORDER = "adata must have the genes of the model in its order, and no others, got 'gene19' at position 0, where the model has 'gene0'"
KNOWN = r"adata.obs\['batch'\] \(batch_key\) must hold categories that the model knows, got 1 others: '{}'. It knows 'b0', 'b1', 'b2'"
FAULTS = {
    "reordered genes": (reverse, ValueError, ORDER),
    "missing genes": (fewer, ValueError, "adata must have the 20 genes of the model, got 9 genes, 11 of the model's missing: 'gene9'"),
    "other genes": (others, ValueError, "20 of the model's missing: 'gene0'"),
    "log": (log, ValueError, r"adata.X must hold counts \(whole numbers\), got .* for cell 'cell0'"),
    "negative": (negative, ValueError, "adata.X must not be negative, got -2.0 for cell 'cell0'"),
    "unknown batch": (unknown_batch, ValueError, KNOWN.format("new")),
    "batch 0": (batch_zero, ValueError, KNOWN.format("0")),
    "no batch": (no_batch, KeyError, "batch_key must name a column of adata.obs, got 'batch'. The columns are 'label'"),
    "missing batch": (missing_batch, ValueError, r"adata.obs\['batch'\] \(batch_key\) must have no missing values, got 1 missing, the first for cell 'cell7'"),
}  # fmt: skip
OF_A_QUERY = {
    "few genes": (fewer, ValueError, "adata must have 0.8 of the 20 genes of the model.*, got 0.45, without 11 genes: 'gene9'.*Lower min_coverage"),
    "other genes": (others, ValueError, "adata must have 0.8 of the 20 genes of the model.*got 0,"),
    "repeated genes": (repeated, ValueError, "adata.var_names must be unique, got 1 repeated gene names: 'g0'"),
    **{name: FAULTS[name] for name in ("log", "negative", "no batch", "missing batch")},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_latent(trained, cells, model_name, fault):
    spoil, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        trained(model_name).get_latent_representation(spoil(cells(seed=2)))


def test_batches_of_another_type(build, cells):
    adata, query = cells(), cells(seed=2)
    adata.obs["batch"] = np.arange(60) % 3
    model = build("BetaVAE", adata)
    model.is_trained_ = True  # of its weights nothing is asked here
    query.obs["batch"] = (np.arange(60) % 3).astype(str)
    message = "got 3 others: '0', '1', '2'. It knows them as int64, here they are str: convert the column"
    with pytest.raises(ValueError, match=message):
        model.get_latent_representation(query)


def test_a_model_of_a_view(build, cells):
    adata = cells()
    model = build("BetaVAE", adata)
    with pytest.raises(ValueError, match="does not match the AnnData object previously provided for setup"):
        type(model)(adata[:30])


@pytest.mark.parametrize("fault", ["log", "negative", "unknown batch"])
def test_latent_of_a_view(trained, cells, model_name, fault):
    spoil, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        trained(model_name).get_latent_representation(spoil(cells(seed=2))[:])


@pytest.mark.filterwarnings("ignore:Category . in adata.obs:UserWarning")
def test_few_new_cells_are_enough(trained, cells, model_name):
    model, query = trained(model_name), cells(seed=2)
    expected = model.get_latent_representation(query)[:1]
    for few in (query[:1], query[:1].copy()):
        np.testing.assert_allclose(model.get_latent_representation(few), expected, atol=1e-5)
    with pytest.raises(ValueError, match="adata must have at least 1 cell, got 0"):
        model.get_latent_representation(query[:0])


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("name", ["BetaVAE", "SparseVAE"])
@pytest.mark.parametrize("fault", OF_A_QUERY)
def test_query(trained, cells, name, fault):
    spoil, error, message = OF_A_QUERY[fault]
    reference = trained(name)
    with pytest.raises(error, match=message):
        type(reference).load_query_data(spoil(cells(seed=2)), reference, accelerator="cpu")


def test_query_with_reordered_genes(trained, cells, fast):
    """Not an error: genes are put in order, and the latent is that of cells in the right order."""
    reference, query = trained("BetaVAE"), cells(seed=2)
    mapped = type(reference).load_query_data(reverse(query), reference, accelerator="cpu")
    np.testing.assert_array_equal(
        mapped.get_latent_representation(), reference.get_latent_representation(query)
    )


ARGUMENTS = {
    "text": ({"adata": "cells.h5ad"}, TypeError, "adata must be an AnnData, got str"),
    "text for a flag": ({"freeze": "no"}, TypeError, "freeze must be True or False, got 'no'"),
    "coverage above one": ({"min_coverage": 2}, ValueError, "min_coverage must be <= 1, got 2.0"),
    "no number": ({"min_coverage": np.nan}, ValueError, "min_coverage must be finite, got nan"),
    "no model": ({"reference_model": None}, TypeError, "reference_model must be a BetaVAE or the directory of one, got NoneType"),
    "nowhere": ({"reference_model": "/nowhere"}, ValueError, "reference_model must be a model or the directory of one, got '/nowhere'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ARGUMENTS)
def test_arguments_of_a_query(trained, cells, fault):
    changed, error, message = ARGUMENTS[fault]
    reference = trained("BetaVAE")
    with pytest.raises(error, match=message):
        type(reference).load_query_data(
            **{"adata": cells(), "reference_model": reference, "accelerator": "cpu", **changed}
        )


def test_a_query_for_an_untrained_model(build, cells):
    model = build("BetaVAE", cells())
    with pytest.raises(ValueError, match="reference_model must be trained"):
        type(model).load_query_data(cells(), model, accelerator="cpu")


@pytest.mark.parametrize("fault", FAULTS)
def test_load(trained, cells, fault, saved):
    spoil, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        type(trained("BetaVAE")).load(saved("BetaVAE"), adata=spoil(cells(seed=2)), accelerator="cpu")


def test_every_model_is_loaded_with_its_genes_alone(trained, cells, model_name, saved):
    with pytest.raises(ValueError, match=ORDER):
        type(trained(model_name)).load(saved(model_name), adata=reverse(cells()), accelerator="cpu")


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    """Return the folder of the saved model of a class."""
    folders = {}

    def get(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name) / "model"
            trained(name).save(folders[name])
        return folders[name]

    return get


def test_load_into_another_class(trained, saved, cells):
    kind = type(trained("LinearVAE"))
    with pytest.raises(
        ValueError, match="The saved model must be a LinearVAE, got another class, BetaVAE. Use BetaVAE.load"
    ):
        kind.load(saved("BetaVAE"), adata=cells(), accelerator="cpu")


def test_load_what_is_no_anndata(saved, trained):
    with pytest.raises(TypeError, match="adata must be an AnnData, got int"):
        type(trained("BetaVAE")).load(saved("BetaVAE"), adata=3, accelerator="cpu")


def test_load_nothing(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold a saved model"):
        type(trained("BetaVAE")).load(tmp_path / "nothing", adata=False, accelerator="cpu")


def test_nothing_is_remarked_on_new_cells(build, cells, fast):
    """What scvi-tools says of data that it was not given before, no user can act upon."""
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logger = logging.getLogger("scvi")
    logger.addHandler(handler)
    try:
        model = build("BetaVAE", cells())
        model.train(1, **fast)
        model.get_latent_representation(cells(seed=1))
        type(model).load_query_data(cells(seed=2), model, accelerator="cpu")
        model.minify_adata()
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in heard] == []
