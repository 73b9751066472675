"""Cell lines mixed in known parts, of Tian et al."""

from __future__ import annotations

import os

from anndata import AnnData

from distaff.datasets._public import PublicFile, Source, load, read_h5ad

__all__ = ["sc_mixology"]


def sc_mixology(*, folder: str | os.PathLike[str] | None = None) -> AnnData:
    """1,408 cells of five lung cancer cell lines, five batches of two protocols :cite:p:`Tian19`: raw counts.

    The file ``sc_mixology_lung_lines.h5ad`` is looked for in ``folder``; without one, in the folder that the
    environment variable ``DISTAFF_DATA`` names and then in your cache. It has no public address, and is never
    downloaded: it was put together from the tables of the study's repository (``LuyiTian/sc_mixology``).

    Parameters
    ----------
    folder
        Folder to look in. ``None``: ``DISTAFF_DATA``, then the cache of this user.

    Returns
    -------
    AnnData
        Counts in ``X``; in ``obs`` the columns ``cell_type`` (the cell line), ``protocol`` (the batch) and
        ``demuxlet_cls`` (``SNG``, or ``DBL`` for the 387 doublets, which you will want to drop).

    Raises
    ------
    FileNotFoundError
        If the file is not on this machine.
    ValueError
        If it does not have its checksum.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.sc_mixology()  # doctest: +SKIP
    >>> adata = adata[adata.obs["demuxlet_cls"] == "SNG"].copy()  # doctest: +SKIP
    """
    return load("sc_mixology", SOURCES, folder=folder, download=False)


SOURCES = (
    Source(
        (
            PublicFile(
                "sc_mixology_lung_lines.h5ad",
                "21028e5bc6e692041f173b883075750088800d47d37f7ada641d8f3fb56059ed",
            ),
        ),
        read_h5ad,
    ),
)
