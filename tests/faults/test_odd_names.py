"""A list, a number or bytes where a name, names or a path are wanted: our error, from every function that takes them."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff import pl, tl

METRICS = ["max_spearman", "single_dimension_accuracy"]
NO_TEXT = (["x"], {"a": 1}, [["x"]], np.array(["x", "y"]), 3.5, b"x", object())
NO_NAMES = ([["x"]], [{}], [None], np.array([["x"]]), 3.5, b"x", object())
NO_PATH = (["x"], {"a": 1}, 3.5, b"x", object(), "", "a\0b")
PATHS = "must be a path"
TEXT = "must be a text"
NAMES = "must be a name or a list of names"


@pytest.fixture(scope="module")
def adata():
    """Cells with what the tools write under two keys."""
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.poisson(2.0, (60, 40)).astype(np.float32))
    adata.obs["label"] = pd.Categorical([f"l{i % 2}" for i in range(60)])
    ds.pp.gene_sets(adata, {"A": adata.var_names[:12], "B": adata.var_names[8:30]}, min_genes=2)
    for seed, key in enumerate(("distaff", "other")):
        adata.obsm[f"X_{key}"] = rng.normal(size=(60, 3)).astype(np.float32)
        adata.varm[f"{key}_loadings"] = rng.normal(size=(40, 3))
        tl.factors(adata, key=key)
        tl.enrich(adata, key=key, min_genes=2)
        tl.rank_factors(adata, "label", key=key)
        tl.disentanglement(adata, "label", key=key, metrics=METRICS, references=None)
        adata.uns[key]["params"] = {"beta": 1.0, "seed": seed}
    return adata


CALLS = {
    "disentanglement": (NO_NAMES, NAMES, lambda a, x: tl.disentanglement(a, x)),
    "metrics": (NO_NAMES, NAMES, lambda a, x: tl.disentanglement(a, "label", metrics=x)),
    "set_key of enrich": (NO_TEXT, TEXT, lambda a, x: tl.enrich(a, set_key=x)),
    "use_loadings": (NO_TEXT, TEXT, lambda a, x: tl.enrich(a, use_loadings=x)),
    "regress_out_factors": (NO_NAMES, NAMES, lambda a, x: tl.regress_out_factors(a, x)),
    "collect_scores": (NO_NAMES[:3], NAMES, lambda a, x: tl.collect_scores(a, x)),
    "factors of a figure": (NO_NAMES, NAMES, lambda a, x: pl.variance(a, x, show=False)),
    "hue": (NO_TEXT, TEXT, lambda a, x: pl.tradeoff(a, hue=x, show=False)),
    "scores": (NO_NAMES, NAMES, lambda a, x: pl.tradeoff(a, x, show=False)),
    "keys of a figure": (NO_NAMES[:3], NAMES, lambda a, x: pl.term_accuracy(a, "label", keys=x, show=False)),
    "labels": (NO_NAMES, NAMES, lambda a, x: pl.term_accuracy(a, x, show=False)),
    "cluster": (NO_TEXT, "must be True or False", lambda a, x: pl.correlation(a, cluster=x, show=False)),
    "compact": (NO_TEXT, "must be True or False", lambda a, x: pl.rank_factors(a, compact=x, show=False)),
    "groupby": (NO_NAMES, NAMES, lambda a, x: ds.report(a, "page.html", groupby=x)),
    "basis": (NO_TEXT, TEXT, lambda a, x: ds.report(a, "page.html", basis=x)),
    "path of the report": (NO_PATH, PATHS, lambda a, x: ds.report(a, x)),
    "no AnnData": (NO_TEXT, "data must be an AnnData", lambda a, x: pl.tradeoff(x, show=False)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_name(adata, name):
    values, message, call = CALLS[name]
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf"{message}.*, got "):
            call(adata, value)


def of_model(call):
    return lambda model, x, folder: call(model, x)


METHODS = {
    "save": (NO_PATH, PATHS, of_model(lambda m, x: m.save(x))),
    "load": (NO_PATH, PATHS, of_model(lambda m, x: type(m).load(x))),
    "prefix": (NO_TEXT, TEXT, lambda m, x, folder: m.save(folder, prefix=x)),
    "overwrite": (NO_TEXT, "must be True or False", lambda m, x, folder: m.save(folder, overwrite=x)),
    "save_anndata": (NO_TEXT, "must be True or False", lambda m, x, folder: m.save(folder, save_anndata=x)),
    "checkpoint_dir": (NO_PATH, PATHS, of_model(lambda m, x: m.train(1, checkpoint_dir=x, accelerator="cpu"))),
    "early_stopping": (NO_TEXT, "must be True or False", of_model(lambda m, x: m.train(1, early_stopping=x))),
    "datamodule": (NO_TEXT, "must be a data module", of_model(lambda m, x: m.train(1, datamodule=x))),
    "callbacks": (({}, "x", 3, [3], object()), "must be a list of Lightning's callbacks", of_model(lambda m, x: m.train(1, callbacks=x))),
    "limit_train_batches": ((0, -1, 0.0, 1.5, "x", [1]), "limit_train_batches must be", of_model(lambda m, x: m.train(1, limit_train_batches=x))),
    "max_steps": ((0, -2, "x", 0.5), "max_steps must be", of_model(lambda m, x: m.train(1, max_steps=x))),
    "check_val_every_n_epoch": ((0, -1, "x", 0.5), "check_val_every_n_epoch must be", of_model(lambda m, x: m.train(1, check_val_every_n_epoch=x))),
    "accumulate_grad_batches": ((0, -1, "x", 0.5), "accumulate_grad_batches must be", of_model(lambda m, x: m.train(1, accumulate_grad_batches=x))),
    "gradient_clip_val": ((-1, "x", np.nan), "gradient_clip_val must be", of_model(lambda m, x: m.train(1, gradient_clip_val=x))),
    "early_stopping_patience": ((-1, "x", 0.5), "early_stopping_patience must be", of_model(lambda m, x: m.train(1, early_stopping=True, early_stopping_patience=x))),
    "no cells": (([], np.zeros(60, dtype=bool)), "at least one cell, got 0", of_model(lambda m, x: m.get_elbo(indices=x))),
    "no cells to reconstruct": (([],), "at least one cell, got 0", of_model(lambda m, x: m.get_reconstruction_error(indices=x))),
    "cells that there are not": (([1000], [-61]), "indices must be below the 60 cells", of_model(lambda m, x: m.get_normalized_expression(indices=x))),
    "batches": (({}, [], "nope", [["b0"]], ["b0", "nope"]), "transform_batch must name batches", of_model(lambda m, x: m.get_normalized_expression(transform_batch=x))),
    "mode": (("x", None, 3), "mode must be one of", of_model(lambda m, x: m.differential_expression(groupby="label", mode=x))),
    "delta": (("a", -1.0, np.nan), "delta must be", of_model(lambda m, x: m.differential_expression(groupby="label", delta=x))),
    "cells of a group": (([],), "idx1 must choose cells, got none", of_model(lambda m, x: m.differential_expression(idx1=x))),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_what_a_model_does_not_take(trained, tmp_path, name):
    values, message, call = METHODS[name]
    model = trained("BetaVAE")
    for value in values:
        with pytest.raises((TypeError, ValueError, KeyError, IndexError), match=rf"{message}"):
            call(model, value, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keys", [[["batch"]], [None], [3], [{}]])
@pytest.mark.parametrize("name", ["categorical_covariate_keys", "continuous_covariate_keys"])
def test_columns_that_are_no_names(cells, name, keys):
    with pytest.raises(TypeError, match=f"{name} must be a list of columns, got "):
        ds.model.BetaVAE.setup_anndata(cells(), **{name: keys})


def test_a_column_that_is_there_twice(cells):
    adata = cells()
    adata.obs = pd.concat([adata.obs, adata.obs[["batch"]]], axis=1)
    with pytest.raises(ValueError, match="adata.obs must have one column 'batch', got several"):
        ds.model.BetaVAE.setup_anndata(adata, batch_key="batch")


def test_numbers_longer_than_any_model_reads(cells):
    adata = cells()
    adata.X = adata.X.toarray().astype(np.longdouble)
    with pytest.raises(ValueError, match="numbers of a type that models read, got dtype float128"):
        ds.model.BetaVAE.setup_anndata(adata)


def test_results_of_others_under_our_names(adata):
    for entry, call in {
        "factors": pl.variance,
        "enrich": pl.enrichment,
        "rank_factors": pl.rank_factors,
    }.items():
        other = adata.copy()
        other.uns["distaff"][entry] = "text"
        with pytest.raises((TypeError, ValueError), match=rf"adata.uns\['distaff'\]\['{entry}'\] must be"):
            call(other, show=False)
        if entry != "factors":
            tl.rename_factors(other, {"Factor 1": "new"})
    other.uns["distaff"] = "text"
    with pytest.raises(TypeError, match=r"adata.uns\['distaff'\] must hold results of distaff, or nothing"):
        tl.factors(other)


@pytest.mark.parametrize(
    "spoil", ["missing", "infinite", "three axes", "no cells", "two rows of a name", "no rows"]
)
def test_figures_of_a_damaged_latent(adata, spoil):
    adata = adata.copy()
    if spoil in ("missing", "infinite"):
        adata.obsm["X_distaff"][3, 1] = np.nan if spoil == "missing" else np.inf
    elif spoil == "three axes":
        adata.obsm["X_distaff"] = np.zeros((60, 3, 2))
    elif spoil == "no cells":
        adata._inplace_subset_obs(np.zeros(60, dtype=bool))
    else:
        table = adata.uns["distaff"]["factors"]
        adata.uns["distaff"]["factors"] = table.iloc[[0, 0, 1] if spoil == "two rows of a name" else []]
    for draw in (pl.density, pl.correlation, pl.terms):
        with pytest.raises(
            (KeyError, ValueError),
            match=r"adata.obsm\['X_distaff'\] must (be finite|hold)|\['factors'\] must be a table",
        ):
            draw(adata, show=False)
