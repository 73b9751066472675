"""Cells that several studies train on, and what was kept of a model put back beside them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scanpy as sc
import torch

import distaff as ds

if TYPE_CHECKING:
    from anndata import AnnData

    from distaff.papers._trials import Result

__all__ = ["checksum", "pbmc3k", "restore", "variable_genes"]

WITHIN_BOUNDS = "seurat_qc"


@lru_cache(maxsize=2)
def pbmc3k(n_genes: int | None) -> AnnData:
    """The 2,638 cells of PBMC 3k that pass the tutorial's bounds, with the most variable genes; None for all.

    The same object for all callers: do not change its counts.
    """
    adata = ds.datasets.pbmc3k()
    adata = adata[adata.obs[WITHIN_BOUNDS].to_numpy(dtype=bool)].copy()
    return adata if n_genes is None else variable_genes(adata, n_genes)


def variable_genes(adata: AnnData, n_genes: int) -> AnnData:
    """Copy with the most variable genes, and the cells that have counts of them."""
    n_threads = torch.get_num_threads()
    n_genes = min(n_genes, adata.n_vars)
    sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat_v3")
    adata = adata[:, adata.var["highly_variable"]].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    torch.set_num_threads(n_threads)  # scanpy sets it to all cores
    return adata


def checksum(path: Path) -> str:
    """Checksum of a file: other data are other trials."""
    with path.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def restore(adata: AnnData, result: Result, *, key: str) -> None:
    """Put latent and loadings that a trial kept beside its cells, for the figures."""
    latent, loadings = result.array("latent"), result.array("loadings")
    names = result.values.get("factor_names") or [f"Factor {i + 1}" for i in range(latent.shape[1])]
    adata.obsm[f"X_{key}"] = np.asarray(latent, dtype=np.float32)
    adata.varm[f"{key}_loadings"] = pd.DataFrame(loadings, index=adata.var_names, columns=names)
    ds.tl.factors(adata, key=key)
