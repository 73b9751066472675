"""One page that shows all factors of a model in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distaff._atomic import write_whole
from distaff._checks import check_adata, check_int, check_path, check_seed, error
from distaff._keys import DEFAULT_KEY
from distaff.html._page import page, page_data

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["report"]


def report(
    adata: AnnData,
    path: str | Path,
    *,
    key: str = DEFAULT_KEY,
    groupby: str | Sequence[str] | None = None,
    basis: str | None = None,
    n_cells: int = 20_000,
    random_state: int = 0,
) -> None:
    """Write the factor report: one HTML page that shows all factors in a browser.

    Each factor has its top genes, gene sets, cells, groups that differ, and what it scores, as far as the
    slots hold them: a section without its slot names the call that writes it. Nothing is computed anew but
    quantiles of the values by group. Factors are shown in their ``direction``, their loadings and tests too.

    The page is one file that loads nothing: it opens without network, by e-mail or years later. It is about
    1 MB with ten factors and 10 MB with 500. The cells that it draws are a random choice, which it says;
    all else is from all cells.

    Parameters
    ----------
    adata
        Annotated data with the latent, and whatever else was written under ``key``. It is not changed.
    path
        File to write, usually ".html". One that is there is replaced, at the very end.
    key
        Prefix of the slots.
    groupby
        Columns of ``obs`` to show the distribution of each factor by; None for those that
        :func:`~distaff.tl.rank_factors` and :func:`~distaff.tl.disentanglement` were given.
    basis
        Slot of ``obsm`` to draw the cells on, with or without ``"X_"``; None for ``X_{key}_umap``,
        ``X_{key}_tsne``, ``X_umap``, ``X_tsne`` or the first two factors, the first that is there.
    n_cells
        Cells to draw at most. Fewer are drawn where cells times factors would pass six million.
    random_state
        Seed of the choice of cells.

    Raises
    ------
    KeyError
        If the latent, a column or the embedding is missing.
    ValueError
        If the path is no file in an existing folder, values are not finite, or tables under ``key`` are of
        different factors.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import distaff as ds
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(rng.normal(size=(100, 20)))
    >>> adata.obsm["X_pca"] = rng.normal(size=(100, 3))
    >>> adata.varm["pca_loadings"] = rng.normal(size=(20, 3))
    >>> ds.tl.factors(adata, key="pca")
    >>> with TemporaryDirectory() as folder:
    ...     ds.report(adata, Path(folder) / "pca.html", key="pca")
    ...     (Path(folder) / "pca.html").read_text().startswith("<!DOCTYPE html>")
    True
    """
    check_adata(adata)
    target = _target(path)
    n_cells = check_int("n_cells", n_cells, minimum=1)  # JSON has no numbers of numpy
    random_state = check_seed("random_state", random_state)
    data = page_data(adata, key=key, groupby=groupby, basis=basis, n_cells=n_cells, random_state=random_state)
    write_whole(target, page(data).encode())


def _target(path: str | Path) -> Path:
    target = check_path("path", path).expanduser().absolute()
    if target.is_dir():
        raise error("path must name a file", got=f"the folder {str(target)!r}")
    if not target.parent.is_dir():
        raise error("path must lie in an existing folder", got=repr(str(target)))
    return target
