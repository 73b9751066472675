"""Figures and the report of odd cells: what is drawn is drawn, what cannot be is a documented error of ours."""

from __future__ import annotations

import warnings

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_kit import CLASSES, LATENT_FORMS, SEEDS, examples, label_column, names, outcome, unchanged
from scipy import sparse

import distaff as ds

OF_A_TABLE = {"regularization_path"}  # test_arguments; it takes no cells
FIGURES = tuple(name for name in ds.pl.__all__ if name not in OF_A_TABLE)
HOSTILE = ("$\\frac$", "<script>alert(1)</script>", "%s{0}", "_", "a\nb", "&amp;", "名前", "\\", "$")
STEPS = {  # what fills the slots, as far as these cells allow
    "factors": (),
    "disentanglement": ("label",),
    "rank_factors": ("label",),
    "enrich": (),
}
FEW = {"disentanglement": {"references": None, "metrics": ["max_spearman", "single_dimension_accuracy"]}}
FEW["enrich"] = {"min_genes": 1}


def odd_cells(seed: int, form: str, label: str, n_cells: int, n_factors: int) -> anndata.AnnData:
    """Cells with latent, loadings, labels and results of the tools, some of them dead, constant or missing."""
    rng = np.random.default_rng(seed)
    n_genes = int(rng.integers(1, 15))
    X = sparse.csr_matrix(rng.poisson(1.0, (n_cells, n_genes)).astype(np.float32))
    adata = anndata.AnnData(
        X,
        obs=pd.DataFrame(index=names(rng, n_cells, "cell", odd=True)),
        var=pd.DataFrame(index=names(rng, n_genes, "gene", odd=True)),
    )
    adata.obs["label"] = label_column(label, rng, n_cells).array
    Z = rng.normal(size=(n_cells, n_factors)) * (rng.random(n_factors) < 0.8)  # some are dead
    adata.obsm["X_distaff"] = LATENT_FORMS[form](Z)
    L = rng.normal(size=(n_genes, n_factors)) * (rng.random(n_factors) < 0.8)
    titles = [*rng.permutation(HOSTILE), *(f"Factor {i}" for i in range(n_factors))][:n_factors]
    adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=titles)
    mask = rng.random((n_genes, 3)) < 0.5
    adata.varm["gene_sets"] = pd.DataFrame(mask, index=adata.var_names, columns=["A", "$", "<b>"]).astype(
        float
    )
    adata.obsm["X_distaff_umap"] = rng.normal(size=(n_cells, 2)) * rng.integers(0, 2)
    for step, arguments in STEPS.items():
        tool = getattr(ds.tl, step)
        outcome(lambda tool=tool, a=arguments, step=step: tool(adata, *a, **FEW.get(step, {})), tool)
    return adata


CELLS = {
    "seed": SEEDS,
    "form": st.sampled_from(sorted(LATENT_FORMS)),
    "label": st.sampled_from(CLASSES),
    "n_cells": st.integers(1, 30),
    "n_factors": st.integers(1, 6),
}


@pytest.mark.parametrize("name", FIGURES)
@given(data=st.fixed_dictionaries(CELLS), seed=SEEDS)
@examples(4)
def test_figures_of_odd_cells(name, data, seed) -> None:
    adata = odd_cells(**data)
    draw, labels = getattr(ds.pl, name), ["label"] if name == "term_accuracy" else []

    def call() -> None:
        found = draw(adata, *labels, show=False)
        panel = (
            found
            if not isinstance(found, list | np.ndarray)
            else np.ravel(np.asarray(found, dtype=object))[0]
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # names in scripts that a font lacks
            panel.figure.canvas.draw()

    with unchanged(adata):
        outcome(call, draw)
    plt.close("all")


@given(data=st.fixed_dictionaries(CELLS))
@examples(12)
def test_reports_of_odd_cells(tmp_path_factory, data) -> None:
    adata = odd_cells(**data)
    page = tmp_path_factory.getbasetemp() / "odd.html"
    page.unlink(missing_ok=True)
    with unchanged(adata):
        outcome(lambda: ds.report(adata, page), ds.report)
    if page.exists():
        assert "<script>alert(1)</script>" not in page.read_text(encoding="utf-8")
