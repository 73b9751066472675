"""AnnData with all slots that the report reads, simulated: no model is trained."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds

N_CELLS, N_GENES = 600, 60


def simulated(n_factors: int, n_cells: int = N_CELLS, *, names: list[str] | None = None) -> anndata.AnnData:
    """Cells of three types, treated or not; factor 2 is turned and rises with the treatment, 3 is still."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
    group = rng.integers(0, 3, n_cells)
    treated = np.arange(n_cells) % 2 == 0
    obs["cell_type"] = pd.Categorical(np.array(["B", "Mono", "T"])[group])
    obs["condition"] = pd.Categorical(np.where(treated, "treated", "control"))
    obs["donor"] = pd.Categorical([f"d{i}" for i in rng.integers(0, 4, n_cells)])
    adata = anndata.AnnData(np.ones((n_cells, N_GENES), dtype=np.float32), obs=obs)
    adata.var_names = [f"GENE{i}" for i in range(N_GENES)]
    Z = rng.normal(size=(n_cells, n_factors)).astype(np.float32)
    Z[:, 0] += 3 * group
    Z[:, 1] -= 4 * treated
    Z[:, 2] = 0
    L = rng.normal(size=(N_GENES, n_factors))
    L[:6, 0] += 4
    L[10:20, 1] -= 5
    names = names or [f"Factor {i + 1}" for i in range(n_factors)]
    adata.obsm["X_distaff"] = pd.DataFrame(Z, index=adata.obs_names, columns=names)
    adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=names)
    adata.obsm["X_distaff_umap"] = rng.normal(size=(n_cells, 2)) + 4 * np.column_stack(
        [group == 0, group == 1]
    )
    return adata


def complete(adata: anndata.AnnData, *, scores: bool = True) -> anndata.AnnData:
    """Add what the tools write; ``scores`` of many factors take long."""
    ds.tl.factors(adata)
    adata.uns["distaff"]["params"] = {"model": "LinearVAE", "n_latent": 10, "distaff_version": "0.1"}
    epochs = np.arange(30)
    curves = {"train_loss": 100 + 900 / (1 + epochs), "validation_loss": 120 + 900 / (1 + epochs)}
    adata.uns["distaff"]["history"] = pd.DataFrame(curves)
    sets = {"INTERFERON_RESPONSE": adata.var_names[10:20], "B_CELLS": adata.var_names[:6]}
    ds.pp.gene_sets(adata, sets, min_genes=5)
    ds.tl.enrich(adata)
    ds.tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
    if scores:
        metrics = ["max_spearman", "smi", "lms"]
        ds.tl.disentanglement(adata, ["cell_type", "condition"], metrics=metrics, references=None)
    return adata


@pytest.fixture(scope="session")
def simulate():
    """Return the maker of a latent with loadings and a UMAP."""
    return simulated


@pytest.fixture(scope="session")
def finish():
    """Return what adds the results of the tools."""
    return complete


@pytest.fixture(scope="session")
def full() -> anndata.AnnData:
    """Ten factors and all slots; read only."""
    return complete(simulated(10))


@pytest.fixture(scope="session")
def many() -> anndata.AnnData:
    """500 factors of more cells than are drawn of so many, all slots but the scores; read only."""
    return complete(simulated(500, 13_000), scores=False)
