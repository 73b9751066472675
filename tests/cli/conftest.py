import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from distaff.cli import main


@pytest.fixture(scope="session")
def cells():
    """120 cells x 40 genes of counts; a condition that moves genes, labels with gaps, slots of the user's own."""
    rng = np.random.default_rng(0)
    stim = np.arange(120) % 2 == 1
    mean = np.full((120, 40), 3.0)
    mean[stim, :10] *= 4
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(np.where(stim, "stim", "ctrl")),
            "cell_type": pd.Categorical(np.array(["T/NK", "B", "mono"])[np.arange(120) % 3]),
            "batch": pd.Categorical(np.array(["b0", "b1"])[np.arange(120) // 60]),
            "age": rng.normal(size=120),
        },
        index=[f"cell{i}" for i in range(120)],
    )
    obs.loc[obs.index[:12], "cell_type"] = np.nan
    var = pd.DataFrame({"length": np.arange(40)}, index=[f"gene{i}" for i in range(40)])
    X = sparse.csr_matrix(rng.poisson(mean).astype(np.float32))
    adata = anndata.AnnData(X, obs=obs, var=var, layers={"counts": X.copy()}, uns={"note": "mine"})
    adata.obsm["X_pca"] = rng.normal(size=(120, 3))
    return adata


@pytest.fixture
def write(cells, tmp_path):
    """Return a function that writes the cells, after a change, and gives the path as text."""

    def writer(change=None, *, name="cells.h5ad"):
        adata = cells.copy()
        if change is not None:
            change(adata)
        adata.write_h5ad(tmp_path / name)
        return str(tmp_path / name)

    return writer


@pytest.fixture
def fit(tmp_path):
    """Return a function that fits a small model for two epochs into ``out`` and gives the exit code."""

    def run(data, *options):
        small = ["--n-latent", "4", "--max-epochs", "2", "--accelerator", "cpu"]
        return main(["fit", data, "--model", "beta", *small, "--output", str(tmp_path / "out"), *options])

    return run
