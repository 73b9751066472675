"""UMAP of a latent, for the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scanpy as sc
from anndata import AnnData

from distaff._checks import check_int, check_seed, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import representation

if TYPE_CHECKING:
    import numpy as np

__all__ = ["umap"]

FEWEST_CELLS = 4  # the initial layout needs more cells than coordinates


def umap(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    use_rep: str | None = None,
    n_neighbors: int = 15,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """UMAP of the latent, beside any other that ``adata`` holds.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    key
        Prefix of the slots.
    use_rep
        Slot of ``obsm`` to embed; None for ``X_{key}``.
    n_neighbors
        Neighbours a cell in the graph.
    random_state
        Seed.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``obsm["X_{key}_umap"]``, (cells, 2).

    Raises
    ------
    KeyError
        If the representation is missing.
    ValueError
        If it is not finite, or of fewer than four cells.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.zeros((50, 1)))
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(50, 3))
    >>> ds.tl.umap(adata)
    >>> adata.obsm["X_distaff_umap"].shape
    (50, 2)
    """
    check_int("n_neighbors", n_neighbors, minimum=2)
    check_seed("random_state", random_state)
    _, rep = representation(adata, key=key, use_rep=use_rep)
    if adata.n_obs < FEWEST_CELLS:
        raise error(f"adata must have at least {FEWEST_CELLS} cells", got=adata.n_obs)
    adata = adata.copy() if copy else adata
    adata.obsm[Slots(key).umap] = _embed(adata.obsm[rep], min(n_neighbors, adata.n_obs - 1), random_state)
    return adata if copy else None


def _embed(Z: np.ndarray, n_neighbors: int, random_state: int) -> np.ndarray:
    """Embed in an AnnData of its own: the user's graphs and embeddings stay as they are."""
    scratch = AnnData(obsm={"Z": Z})
    sc.pp.neighbors(scratch, use_rep="Z", n_neighbors=n_neighbors, random_state=random_state)
    sc.tl.umap(scratch, random_state=random_state)
    return scratch.obsm["X_umap"]
