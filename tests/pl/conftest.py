"""A scored AnnData for the figures."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import tl


def scored_adata(n_cells: int = 800, n_dims: int = 6) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    cell_type = rng.integers(0, 3, n_cells)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
    obs["cell_type"] = pd.Categorical(np.array(["B", "CD4 T/NK", "Mono"])[cell_type])
    obs["treated"] = rng.integers(0, 2, n_cells).astype(float)
    obs.loc[obs.index[:20], "treated"] = np.nan
    adata = anndata.AnnData(np.ones((n_cells, 2), dtype=np.float32), obs=obs)
    Z = rng.normal(size=(n_cells, n_dims))
    Z[:, 1] += 6 * (cell_type == 0)
    Z[:, 3] += 6 * (cell_type == 1)
    Z[20:, 4] -= 6 * obs["treated"].to_numpy()[20:]
    adata.obsm["X_distaff"] = Z
    adata.obsm["usage"] = rng.random((n_cells, 1)) ** 2
    adata.obsm["X_distaff"][:, 0] = 3 * adata.obsm["usage"][:, 0]
    adata.obsm["X_distaff_umap"] = rng.normal(size=(n_cells, 2))
    tl.disentanglement(adata, ["cell_type", "treated", "usage"])
    return adata


@pytest.fixture(scope="session")
def scored() -> anndata.AnnData:
    """Read only: three cell types, a binary and a continuous factor, six dimensions."""
    return scored_adata()


@pytest.fixture(scope="session", params=["memory", "h5ad", "zarr"])
def stored(request, scored, tmp_path_factory) -> anndata.AnnData:
    """The same, as built and as read back from a file; read only."""
    if request.param == "memory":
        return scored
    path = tmp_path_factory.mktemp("stored") / f"a.{request.param}"
    getattr(scored.copy(), f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)


NAMES = ["HALLMARK_A", "B", "C", "D", "E", "still"]


def factored_adata(n_cells: int = 400, n_genes: int = 40) -> anndata.AnnData:
    """Six factors: shares fall from "B" on, "C" has its strong genes below 0, "still" does not vary."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
    group = rng.integers(0, 3, n_cells)
    obs["cell_type"] = pd.Categorical(np.array(["T", "B", "Mono"])[group])
    obs["age"] = rng.normal(size=n_cells)
    obs.iloc[:20] = np.nan
    adata = anndata.AnnData(np.ones((n_cells, n_genes), dtype=np.float32), obs=obs)
    adata.var_names = [f"gene{i}" for i in range(n_genes)]
    Z = rng.normal(size=(n_cells, 6)) * [2.0, 4.0, 0.7, 0.5, 0.2, 0.0]
    Z[:, 3] = 0.5 * Z[:, 2] + 0.1 * Z[:, 3]
    L = rng.normal(size=(n_genes, 6))
    L[5, 2] = -12.0
    L[:, 3] = 0.0
    L[:3, 3] = [3.0, 2.0, -1.0]
    adata.obsm["X_distaff"] = pd.DataFrame(Z, index=obs.index, columns=NAMES)
    adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=NAMES)
    tl.factors(adata)
    return adata


@pytest.fixture(scope="session")
def factored() -> anndata.AnnData:
    """Read only."""
    return factored_adata()


@pytest.fixture(scope="session", params=["memory", "h5ad", "zarr"])
def stored_factors(request, factored, tmp_path_factory) -> anndata.AnnData:
    """The same, as built and as read back from a file; read only."""
    if request.param == "memory":
        return factored
    path = tmp_path_factory.mktemp("factors") / f"a.{request.param}"
    getattr(factored.copy(), f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)
