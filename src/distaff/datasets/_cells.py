"""What public files have in common: counts by cell, unique genes, columns of quality."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse

__all__ = ["counts_of", "quality"]

MIN_CELLS = 3  # of a gene, and the bounds of a cell: those of Seurat's tutorial on PBMC 3k
MIN_GENES, MAX_GENES, MAX_PCT_MT = 200, 2_500, 5.0


def counts_of(adata: AnnData, *, min_cells: int = 0) -> AnnData:
    """Counts alone, as CSR of float32 with unique gene names, of the genes seen in ``min_cells`` cells."""
    X = sparse.csr_matrix(adata.X, dtype=np.float32)
    X.sort_indices()
    kept = np.bincount(X.indices, minlength=X.shape[1]) >= min_cells
    names = make_index_unique(adata.var_names.astype(str))[kept]
    obs = pd.DataFrame(index=adata.obs_names.astype(str))
    return AnnData(X[:, kept], obs=obs, var=pd.DataFrame(index=names))


def quality(adata: AnnData) -> None:
    """Write columns of quality: counts, genes, mitochondrial share, whether Seurat's tutorial keeps it."""
    X = adata.X
    total = np.asarray(X.sum(axis=1)).ravel()
    mitochondrial = np.asarray(X[:, adata.var_names.str.startswith("MT-")].sum(axis=1)).ravel()
    adata.obs["n_counts"] = total
    adata.obs["n_genes"] = np.diff(X.indptr)
    adata.obs["pct_mt"] = 100 * mitochondrial / np.maximum(total, 1)
    adata.obs["seurat_qc"] = adata.obs["n_genes"].between(MIN_GENES, MAX_GENES, inclusive="neither") & (
        adata.obs["pct_mt"] < MAX_PCT_MT
    )
