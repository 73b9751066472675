"""Write the loadings of a linear model into an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import check_adata, check_flag, error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._names import model_names, stored_names
from distaff.tl._stale import drop_of_loadings

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["loadings"]


def loadings(
    adata: AnnData, model: Any, *, key: str = DEFAULT_KEY, centered: bool = False, copy: bool = False
) -> AnnData | None:
    """Loadings of each factor: what one unit of it does to the log expression of each gene.

    Parameters
    ----------
    adata
        Annotated data with the genes of the model, in any order.
    model
        Trained model with ``get_loadings``: of distaff, or :class:`scvi.model.LinearSCVI`.
    key
        Prefix of the slots.
    centered
        Subtract each column's mean, which the softmax leaves free; exact zeros are lost.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``varm["{key}_loadings"]``: DataFrame (genes, factors). Columns are called as
    the factors in ``uns["{key}"]["factors"]`` where :func:`~distaff.tl.latent` has written that table for a
    model of this class with these factors, else as the model calls them ("Factor 1", ... for others).

    Other loadings in that slot take with them what was computed from them: ``uns["{key}"]["enrich"]``, and
    all columns of ``uns["{key}"]["factors"]`` but ``kind``, ``active`` and ``kl``.

    Raises
    ------
    TypeError
        If the model has no loadings.
    ValueError
        If genes of ``adata`` are not in the model.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.LinearVAE.setup_anndata(adata)
    >>> model = ds.model.LinearVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> ds.tl.loadings(adata, model)
    >>> list(adata.varm["distaff_loadings"])
    ['Factor 1', 'Factor 2', 'Factor 3', 'Factor 4']
    """
    check_flag("centered", centered)
    check_flag("copy", copy)
    if not hasattr(model, "get_loadings") or not getattr(model, "has_loadings", True):
        raise error(
            "model must have loadings: a linear decoder and get_loadings()",
            got=type(model).__name__,
            fix="For any other decoder tl.traverse(adata, model) tells what a factor does to each gene.",
            kind=TypeError,
        )
    check_adata(adata)
    if not getattr(model, "is_trained_", True):
        raise error("model must be trained", got="random loadings", fix="Call model.train() first.")
    table: pd.DataFrame = model.get_loadings()
    missing = adata.var_names.difference(table.index, sort=False)
    if len(missing):
        raise error(
            "Genes of adata must be in the model", got=f"{len(missing)} that are not: {listing(missing)}"
        )
    table = table - table.mean() if centered else table
    adata = adata.copy() if copy else adata
    slots = Slots(key)
    n = table.shape[1]
    names = stored_names(adata, model, slots, n) or model_names(model, n)
    own = table.loc[adata.var_names].set_axis(adata.var_names).set_axis(names, axis=1)
    old = adata.varm.get(slots.loadings)
    if old is not None and not np.array_equal(np.asarray(old), own.to_numpy()):
        drop_of_loadings(adata, slots)
    adata.varm[slots.loadings] = own
    return adata if copy else None
