"""PBMC 3k of 10x Genomics, with cell types."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from anndata import AnnData

from distaff.datasets._cells import MIN_CELLS, counts_of, quality
from distaff.datasets._public import PublicFile, Source, load, read_h5ad

__all__ = ["pbmc3k"]


def pbmc3k(*, folder: str | os.PathLike[str] | None = None, download: bool = True) -> AnnData:
    """2,700 blood cells of a healthy donor, 10x Genomics: raw counts of genes seen in three cells or more.

    The files are looked for in ``folder``; without one, in the folder that the environment variable
    ``DISTAFF_DATA`` names and then in your cache. If they are in neither, calling this function downloads
    them (about 6 and 25 MB) unless ``download=False``. Each file must have the checksum that is known of
    it.

    Parameters
    ----------
    folder
        Folder to look in and to download to. ``None``: ``DISTAFF_DATA``, then the cache of this user.
    download
        Whether to download what is not there.

    Returns
    -------
    AnnData
        Counts in ``X``; in ``obs`` the columns ``cell_type`` (missing for the 62 cells that fail the
        quality bounds), ``seurat_qc`` (whether a cell is within the bounds of Seurat's tutorial: 200 to
        2,500 genes, less than 5 % mitochondrial counts), ``n_counts``, ``n_genes`` and ``pct_mt``; in
        ``uns["source"]`` the files and their checksums.

    Raises
    ------
    FileNotFoundError
        If the data are not on this machine and may not be downloaded.
    ConnectionError
        If they cannot be downloaded; the message says which file to put where.
    ValueError
        If a file does not have its checksum.

    Notes
    -----
    What is downloaded is scverse's copy of the counts (``pbmc3k_raw.h5ad``) and the labels of scanpy's
    tutorial: eight cell types, with CD4 T cells as one. A file ``pbmc3k.h5ad`` with the nine cell types of
    Seurat's tutorial, which divides them into naive and memory cells, is read if you have it; it has no
    public address.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.pbmc3k()  # doctest: +SKIP
    >>> adata = adata[adata.obs["seurat_qc"]].copy()  # doctest: +SKIP
    """
    return load("pbmc3k", SOURCES, folder=folder, download=download)


def _with_labels(counts: Path, labels: Path) -> AnnData:
    adata = counts_of(read_h5ad(counts), min_cells=MIN_CELLS)
    types = read_h5ad(labels).obs["louvain"]
    adata.obs["cell_type"] = pd.Categorical(types.astype(str).reindex(adata.obs_names))
    quality(adata)
    adata.obs_names = adata.obs_names.str.removesuffix("-1")
    return adata


SOURCES = (
    Source(
        (PublicFile("pbmc3k.h5ad", "ab0b8b2d5f650a7a1dfed548d36c1928f84004c2291b6d9a4d91f3c6dd548306"),),
        read_h5ad,
    ),
    Source(
        (
            PublicFile(
                "pbmc3k_raw.h5ad",
                "89a96f1beaa2dd83a687666d3f19a4513ac27a2a2d12581fcd77afed7ea653a1",
                "https://exampledata.scverse.org/scanpy/pbmc3k_raw.h5ad",
            ),
            PublicFile(
                "pbmc3k_processed.h5ad",
                "0db367b991dd95809732b218539ede489bea99113807f62ebd7ccc970025fe38",
                "https://raw.githubusercontent.com/chanzuckerberg/cellxgene/"
                "68dfbcc2eb675e96c6a5e2a6b7a0d3465ccf46bc/example-dataset/pbmc3k.h5ad",
            ),
        ),
        _with_labels,
    ),
)
