"""The whole of tl and pl on a file without its model, and what they wrote after a way through a file."""

from __future__ import annotations

import inspect

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import distaff as ds

QUIET = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
SCORES = ["max_spearman", "single_dimension_accuracy"]
NEED_A_MODEL = {"latent", "loadings", "traverse"}
NEED_ANOTHER_TABLE = {"regularization_path"}  # that of AnnotatedVAE.select_lambda_group


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Cells with the latents of three models, stored in both formats."""
    adata = ds.datasets.simulate_gep(160, 80, random_state=0)
    adata.obs["donor"] = pd.Categorical([f"d{i % 6}" for i in range(160)])
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(160) // 6 % 2, "stim", "ctrl"))
    names = list(adata.var_names)
    ds.pp.gene_sets(adata, {"set a": names[:20], "set b": names[20:50]})
    ds.model.LinearVAE.setup_anndata(adata)
    for seed in range(2):
        model = ds.model.LinearVAE(adata, n_latent=4, init="nmf")
        model.train(20, **{**QUIET, "seed": seed})
        ds.tl.latent(adata, model, key=f"run{seed}")
        ds.tl.loadings(adata, model, key=f"run{seed}")
    ds.model.AnnotatedVAE.setup_anndata(adata)
    model = ds.model.AnnotatedVAE(adata, n_dense=2)
    model.train(20, **QUIET)
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    ds.tl.traverse(adata, model)
    folder = tmp_path_factory.mktemp("files")
    adata.write_h5ad(folder / "cells.h5ad")
    adata.write_zarr(folder / "cells.zarr")
    return folder


def read(path):
    return anndata.read_zarr(path) if path.suffix == ".zarr" else anndata.read_h5ad(path)


def write(adata, path):
    (adata.write_zarr if path.suffix == ".zarr" else adata.write_h5ad)(path)


@pytest.fixture(scope="module")
def analysed(written):
    """Cells of a file after all tools but those that need a model."""
    adata = read(written / "cells.zarr")
    factors = ["cell_type", "condition"]
    calls = {
        "factors": lambda: ds.tl.factors(adata),
        "rename_factors": lambda: ds.tl.rename_factors(adata, {"Dense 1": 'rest, "other"'}),
        "umap": lambda: ds.tl.umap(adata),
        "tsne": lambda: ds.tl.tsne(adata, perplexity=10),
        "disentanglement": lambda: ds.tl.disentanglement(adata, factors, metrics=SCORES),
        "cluster_agreement": lambda: ds.tl.cluster_agreement(adata, "cell_type", resolutions=[0.5, 1.0]),
        "rank_factors": lambda: ds.tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor"),
        "enrich": lambda: ds.tl.enrich(adata, min_genes=5),
        "gep_score": lambda: ds.tl.gep_score(adata, "gene_sets"),
        "consensus": lambda: ds.tl.consensus(adata, ["run0", "run1"]),
        "regress_out_factors": lambda: ds.tl.regress_out_factors(
            adata, ['rest, "other"'], key_added="corrected"
        ),
        "collect_scores": lambda: ds.tl.collect_scores(adata),
    }
    assert set(calls) | NEED_A_MODEL == set(ds.tl.__all__)
    for call in calls.values():
        call()
    for seed in range(2):
        ds.tl.disentanglement(adata, factors, key=f"run{seed}", metrics=SCORES)
    return adata


@pytest.mark.slow
def test_both_files_hold_the_same(written):
    check_all_the_same(*(read(written / f"cells{suffix}") for suffix in (".h5ad", ".zarr")))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_everything_runs_and_stays(analysed, tmp_path, suffix):
    write(analysed, tmp_path / f"again{suffix}")
    again = read(tmp_path / f"again{suffix}")
    check_all_the_same(analysed, again)
    draw_everything(again)


def check_all_the_same(written, read):
    """All that tools write is the same in both."""
    check_same(written.uns, read.uns, "uns")
    check_same(dict(written.obsm), dict(read.obsm), "obsm")
    check_same(dict(written.varm), dict(read.varm), "varm")


def check_same(written, read, where):
    """Everything came back as it was."""
    if isinstance(written, dict):
        assert written.keys() == read.keys(), where
        for key, value in written.items():
            check_same(value, read[key], f"{where}[{key!r}]")
    elif isinstance(written, pd.DataFrame):
        pd.testing.assert_frame_equal(
            written, read, check_dtype=False, check_names=False, check_index_type=False, obj=where
        )
    else:
        np.testing.assert_array_equal(np.asarray(written), np.asarray(read), err_msg=where)


def draw_everything(adata):
    two = list(adata.uns["distaff"]["factors"].index[:2])
    calls = {
        "consensus": lambda: ds.pl.consensus(adata),
        "correlation": lambda: ds.pl.correlation(adata),
        "density": lambda: ds.pl.density(adata, color="condition"),
        "disentanglement": lambda: ds.pl.disentanglement(adata),
        "embedding": lambda: ds.pl.embedding(adata, color="cell_type"),
        "enrichment": lambda: ds.pl.enrichment(adata),
        "history": lambda: ds.pl.history(adata),
        "latent": lambda: ds.pl.latent(adata),
        "loadings": lambda: ds.pl.loadings(adata),
        "rank_factors": lambda: ds.pl.rank_factors(adata),
        "term_accuracy": lambda: ds.pl.term_accuracy(adata, ["condition"], keys=["distaff", "run0"]),
        "term_sizes": lambda: ds.pl.term_sizes(adata),
        "terms": lambda: ds.pl.terms(adata, two, color="condition"),
        "top_genes": lambda: ds.pl.top_genes(adata),
        "tradeoff": lambda: ds.pl.tradeoff(adata, keys=["run0", "run1"], x="beta"),
        "traversal": lambda: ds.pl.traversal(adata),
        "variance": lambda: ds.pl.variance(adata),
    }
    assert set(calls) | NEED_ANOTHER_TABLE == set(ds.pl.__all__)
    for name, call in calls.items():
        assert "show" in inspect.signature(getattr(ds.pl, name)).parameters
        assert call() is not None, name
        plt.close("all")
