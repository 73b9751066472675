"""Gene programs of blood cells, for the README: `DISTAFF_DATA=data python docs/figures/readme.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import scanpy as sc
import torch

import distaff as ds

TARGET = Path(__file__).parent / "readme.png"
N_PROGRAMS = 5


def trained() -> sc.AnnData:
    """PBMC 3k with ten programs at the defaults."""
    adata = ds.datasets.pbmc3k()
    adata = adata[adata.obs["seurat_qc"].to_numpy(dtype=bool)].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=2000, flavor="seurat_v3", subset=True)
    torch.set_num_threads(1)
    ds.model.ProgramVAE.setup_anndata(adata)
    model = ds.model.ProgramVAE(adata, n_latent=10)
    model.train(seed=0, accelerator="cpu", enable_progress_bar=False)
    for tool in (ds.tl.latent, ds.tl.loadings, ds.tl.factors):
        tool(adata, model)
    ds.tl.umap(adata)
    return adata


def main() -> None:
    """Draw the programs that tell most about cell types, strongest first."""
    mpl.use("Agg")
    adata = trained()
    smi = ds.metrics.smi(adata.obsm["X_distaff"], adata.obs[["cell_type"]]).matrix
    told = pd.Series(np.asarray(smi).max(axis=1), index=adata.uns["distaff"]["factors"].index)
    chosen = list(told.sort_values(ascending=False).index[:N_PROGRAMS])
    ds.pl.embedding(adata, chosen, color="cell_type", n_columns=3, save=TARGET, show=False)


if __name__ == "__main__":
    main()
