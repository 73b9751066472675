"""Figures and tables of the page on reading factors: `DISTAFF_DATA=data python docs/figures/reading.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import scanpy as sc

import distaff as ds

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "benchmarks"))

from _data import DATA, kang, one_thread  # noqa: E402

MARKERS = {
    "B cells": ["MS4A1", "CD79A"],
    "monocytes": ["LYZ", "S100A8", "S100A9", "CST3"],
    "NK cells": ["NKG7", "GNLY"],
    "platelets": ["PPBP", "PF4"],
}
QUIET = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}


def blood() -> None:
    """LinearVAE at its defaults on pbmc3k: which factor has all markers of a cell type nearest to the top."""
    adata = sc.read_h5ad(DATA / "pbmc3k.h5ad")
    sc.pp.highly_variable_genes(adata, n_top_genes=1000, flavor="seurat_v3", subset=True)
    sc.pp.filter_cells(adata, min_counts=1)
    one_thread()
    ds.model.LinearVAE.setup_anndata(adata)
    model = ds.model.LinearVAE(adata, n_latent=10)
    model.train(**QUIET)
    for tool in (ds.tl.latent, ds.tl.loadings, ds.tl.factors):
        tool(adata, model)
    ds.tl.umap(adata)
    print(adata.uns["distaff"]["factors"][["rank", "variance_explained", "kl", "top_genes"]].to_string())
    L = adata.varm["distaff_loadings"]
    found = {}
    for cells, genes in MARKERS.items():
        ranks = {(f, s): (s * L[f]).rank(ascending=False)[genes] for f in L for s in (1, -1)}
        (factor, sign), places = min(ranks.items(), key=lambda item: item[1].max())
        found[cells] = factor
        listed = ", ".join(f"{gene} {int(place)}" for gene, place in places.sort_values().items())
        print(f"| {cells} | {factor}, {'up' if sign > 0 else 'down'} as trained | {listed} |")
    chosen = list(dict.fromkeys(found.values()))
    ds.pl.top_genes(adata, chosen, save=FOLDER / "reading_genes.png", show=False)
    ds.pl.density(adata, chosen, color="cell_type", save=FOLDER / "reading_density.png", show=False)


def stimulated() -> None:
    """AnnotatedVAE on Kang 2018: which pathways differ by condition, with donors as replicates."""
    adata, _ = kang(2000)
    one_thread()
    ds.pp.gene_sets(adata, DATA / "reactome_c2cp_v4.0.symbols.gmt")
    ds.model.AnnotatedVAE.setup_anndata(adata)
    model = ds.model.AnnotatedVAE(adata)
    model.train(**QUIET)
    for tool in (ds.tl.latent, ds.tl.loadings, ds.tl.factors):
        tool(adata, model)
    ds.tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    table = adata.uns["distaff"]["rank_factors"]["table"]
    print(table.head(5).to_string())
    ds.pl.rank_factors(adata, n_factors=8, save=FOLDER / "reading_groups.png", show=False)


if __name__ == "__main__":
    mpl.use("Agg")
    blood()
    stimulated()
