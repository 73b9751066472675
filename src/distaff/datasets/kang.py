"""Blood cells with and without interferon-beta, of Kang et al."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from anndata import AnnData

from distaff.datasets._cells import counts_of
from distaff.datasets._public import PublicFile, Source, load, read_h5ad

__all__ = ["kang"]


def kang(*, folder: str | os.PathLike[str] | None = None, download: bool = True) -> AnnData:
    """Blood cells of eight lupus patients, half of them treated with interferon-beta :cite:p:`Kang18`.

    Raw counts, 24,673 cells x 15,706 genes. The file is looked for in ``folder``; without one, in the
    folder that the environment variable ``DISTAFF_DATA`` names and then in your cache. If it is in neither,
    calling this function downloads it (38 MB) unless ``download=False``. A file must have the checksum that
    is known of it.

    Parameters
    ----------
    folder
        Folder to look in and to download to. ``None``: ``DISTAFF_DATA``, then the cache of this user.
    download
        Whether to download what is not there.

    Returns
    -------
    AnnData
        Counts in ``X``; in ``obs`` the columns ``condition`` (``ctrl`` or ``stim``), ``cell_type`` and
        ``donor``; in ``uns["source"]`` the file and its checksum.

    Raises
    ------
    FileNotFoundError
        If the data are not on this machine and may not be downloaded.
    ConnectionError
        If they cannot be downloaded; the message says which file to put where.
    ValueError
        If the file does not have its checksum.

    Notes
    -----
    A file ``kang_pbmc_2k.h5ad``, a subset of 2,000 cells x 9,015 genes of which 1,109 cells are labelled, is
    read if you have it and not the full one; it has no public address.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.kang()  # doctest: +SKIP
    """
    return load("kang", SOURCES, folder=folder, download=download)


def _renamed(path: Path) -> AnnData:
    original = read_h5ad(path)
    adata = counts_of(original)
    adata.obs["condition"] = pd.Categorical(original.obs["label"].astype(str))
    adata.obs["cell_type"] = pd.Categorical(original.obs["cell_type"])
    adata.obs["donor"] = pd.Categorical(original.obs["replicate"].astype(str).str.removeprefix("patient_"))
    return adata


SOURCES = (
    Source(
        (
            PublicFile(
                "kang_2018.h5ad",
                "e6a5adac64dcdeb36eaba27db49b63e0c64bb0ed4a64c6705971506b41c39830",
                "https://exampledata.scverse.org/pertpy/kang_2018.h5ad",
            ),
        ),
        _renamed,
    ),
    Source(
        (
            PublicFile(
                "kang_pbmc_2k.h5ad", "eeffa37375ff403c945409dddd9c6f718eba07b09b2afd70d56f571f765e417d"
            ),
        ),
        read_h5ad,
    ),
)
