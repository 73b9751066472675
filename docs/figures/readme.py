"""Gene programs of blood cells, for the README: `DISTAFF_DATA=data python docs/figures/readme.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.patheffects
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc
import torch
from matplotlib.axes import Axes

import distaff as ds

FOLDER = Path(__file__).parent
N_PROGRAMS, N_GENES_SHOWN = 5, 4
COLUMNS = 3


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


def bare(ax: Axes, title: str) -> None:
    """No axes: an embedding has no units."""
    ax.set_title(title, fontsize=9, loc="left")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def draw_types(ax: Axes, xy: np.ndarray, types: pd.Series) -> None:
    """Cell types, each with its name in its middle."""
    for name, color in zip(types.cat.categories, plt.get_cmap("tab10").colors, strict=False):
        cells = (types == name).to_numpy()
        ax.scatter(*xy[cells].T, s=3, color=color, lw=0, rasterized=True)
        label = ax.text(
            *np.median(xy[cells], axis=0), name, fontsize=7, ha="center", va="center", weight="bold"
        )
        label.set_path_effects([mpl.patheffects.withStroke(linewidth=2, foreground="white")])
    bare(ax, "cell types")


def main() -> None:
    """Draw."""
    mpl.use("Agg")
    adata = trained()
    xy, Z = adata.obsm["X_distaff_umap"], adata.obsm["X_distaff"]
    table = adata.uns["distaff"]["factors"].sort_values("rank")
    names = list(adata.uns["distaff"]["factors"].index)
    # the programs that tell most about cell types, strongest first
    smi = ds.metrics.smi(Z, adata.obs[["cell_type"]]).matrix
    told = pd.Series(np.asarray(smi).max(axis=1), index=names).sort_values(ascending=False)
    chosen = list(told.index[:N_PROGRAMS])
    fig, axes = plt.subplots(2, COLUMNS, figsize=(9.6, 6.0), layout="constrained")
    draw_types(axes.flat[0], xy, adata.obs["cell_type"])
    for ax, name in zip(axes.flat[1:], chosen, strict=True):
        values = Z[:, names.index(name)]
        order = np.argsort(values)
        ax.scatter(*xy[order].T, c=values[order], s=3, lw=0, cmap="viridis", vmax=np.quantile(values, 0.99))
        genes = ", ".join(table.loc[name, "top_genes"].split(", ")[:N_GENES_SHOWN])
        bare(ax, f"{name}: {genes}")
    fig.savefig(FOLDER / "readme.png", dpi=130)


if __name__ == "__main__":
    main()
