"""UMAP of a latent, for the figures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy.sparse import SparseEfficiencyWarning

from distaff._checks import check_flag, check_int, check_seed, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import representation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["umap"]

MIN_CELLS = 5


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
        If the representation is not finite, or there are fewer than five cells.

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
    check_flag("copy", copy)
    check_int("n_neighbors", n_neighbors, minimum=2)
    check_seed("random_state", random_state)
    table, _ = representation(adata, key=key, use_rep=use_rep)
    if adata.n_obs < MIN_CELLS:
        raise error(f"UMAP needs at least {MIN_CELLS} cells", got=adata.n_obs)
    Z = table.to_numpy(dtype=np.float32)
    adata = adata.copy() if copy else adata
    adata.obsm[Slots(key).umap] = _embed(Z, min(n_neighbors, adata.n_obs - 1), random_state)
    return adata if copy else None


def _embed(Z: NDArray[np.float32], n_neighbors: int, random_state: int) -> NDArray[np.float32]:
    """Embed in an AnnData of its own: the user's graphs and embeddings stay as they are."""
    scratch = AnnData(obsm={"Z": Z})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=SparseEfficiencyWarning)  # scanpy's own graph
        sc.pp.neighbors(scratch, use_rep="Z", n_neighbors=n_neighbors, random_state=random_state)
    sc.tl.umap(scratch, random_state=random_state)
    return scratch.obsm["X_umap"]
