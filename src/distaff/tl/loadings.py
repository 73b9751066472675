"""Write the loadings of a linear model into an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from distaff._checks import error, listing
from distaff._keys import DEFAULT_KEY, Slots

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
    None, or the copy. Writes ``varm["{key}_loadings"]``: DataFrame (genes, factors).

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
    if not hasattr(model, "get_loadings"):
        raise error("model must have get_loadings()", got=type(model).__name__, kind=TypeError)
    table: pd.DataFrame = model.get_loadings()
    missing = adata.var_names.difference(table.index, sort=False)
    if len(missing):
        raise error(
            "Genes of adata must be in the model", got=f"{len(missing)} that are not: {listing(missing)}"
        )
    table = table - table.mean() if centered else table
    adata = adata.copy() if copy else adata
    own = table.loc[adata.var_names]
    adata.varm[Slots(key).loadings] = own.set_axis(adata.var_names).rename(columns=str)
    return adata if copy else None
