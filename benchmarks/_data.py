"""Data that the benchmarks share."""

from __future__ import annotations

import os
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
import torch

import distaff as ds

DATA = Path(os.environ.get("DISTAFF_DATA", "data"))


def one_thread() -> None:
    """Train on one thread: choosing genes with scanpy sets torch to all cores."""
    torch.set_num_threads(1)


def kang(n_genes: int) -> tuple[anndata.AnnData, pd.DataFrame]:
    """Labelled cells of Kang 2018, variable genes; factors: five cell types and the condition."""
    adata = sc.read_h5ad(DATA / "kang_pbmc_2k.h5ad")
    adata = adata[adata.obs["cell_type"].notna()].copy()
    types = list(adata.obs["cell_type"].value_counts().index[:5])
    adata = adata[adata.obs["cell_type"].isin(types)].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat_v3", subset=True)
    sc.pp.filter_cells(adata, min_counts=1)
    factors = {name: (adata.obs["cell_type"] == name).to_numpy() for name in types}
    factors["condition"] = (adata.obs["condition"] == "stim").to_numpy()
    return adata, pd.DataFrame(factors)


def simulated(n_cells: int, n_genes: int, seed: int) -> tuple[anndata.AnnData, pd.DataFrame]:
    """Kimmel's simulation; factors: whether a cell uses each program."""
    adata = ds.datasets.simulate_gep(n_cells, n_genes, random_state=seed)
    return adata, adata.obsm["program_usage"].reset_index(drop=True) > 0


def log_normalised(adata: anndata.AnnData) -> np.ndarray:
    """log1p of counts per 10,000, (cells, genes)."""
    copy = adata.copy()
    sc.pp.normalize_total(copy, target_sum=1e4)
    sc.pp.log1p(copy)
    return np.asarray(copy.X.todense(), dtype=np.float32)
