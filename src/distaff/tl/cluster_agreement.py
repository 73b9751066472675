"""Agreement of unsupervised clusters of the latent with known labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distaff import metrics
from distaff._checks import check_flag, check_obs_column
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import representation, store

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cluster_agreement"]


def cluster_agreement(
    adata: AnnData,
    label_key: str,
    *,
    key: str = DEFAULT_KEY,
    use_rep: str | None = None,
    resolutions: Sequence[float] | None = None,
    n_neighbors: int = 15,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Leiden clusters of the latent against labels, over a range of resolutions.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    label_key
        Column of ``obs`` with the classes; cells without a label are left out.
    key
        Prefix of the slots.
    use_rep
        Slot of ``obsm`` to cluster; None for ``X_{key}``.
    resolutions
        Resolutions of Leiden's modularity; None for 0.1, 0.2, ... 2.
    n_neighbors
        Neighbours of a cell in the graph, itself included; all cells where there are fewer.
    random_state
        Seed of Leiden.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["cluster_agreement"]``:

    - ``"curve"``: DataFrame, one row a resolution: ``resolution``, ``n_clusters``, ``ari``, ``nmi``,
      ``homogeneity``, ``completeness``
    - ``"maxima"``: largest value of each score
    - ``"params"``: label and representation, best resolution, neighbours, seed, cells used and left out

    Raises
    ------
    KeyError
        If the label or the representation is missing.
    ValueError
        If the representation is not finite.

    See Also
    --------
    distaff.metrics.cluster_agreement

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> adata = anndata.AnnData(obs={"cell_type": np.repeat(["B", "T"], 50)})
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> adata.obsm["X_distaff"][:50, 1] += 20
    >>> tl.cluster_agreement(adata, "cell_type", resolutions=[0.1, 0.5])
    >>> adata.uns["distaff"]["cluster_agreement"]["maxima"]["ari"]
    1.0
    """
    check_flag("copy", copy)
    labels = check_obs_column(adata, label_key, name="label_key")
    Z, rep = representation(adata, key=key, use_rep=use_rep)
    result = metrics.cluster_agreement(
        Z, labels, resolutions=resolutions, n_neighbors=n_neighbors, random_state=random_state
    )
    adata = adata.copy() if copy else adata
    entry = {
        "curve": result.curve.set_axis(result.curve.index.astype(str)),  # anndata wants names, not numbers
        "maxima": {name: float(value) for name, value in result.maxima.items()},
        "params": {
            "label_key": label_key,
            "use_rep": rep,
            "best_resolution": result.best_resolution,
            "n_cells": result.n_cells,
            "n_missing": result.n_missing,
            **result.params,
        },
    }
    store(adata, key, Slots.cluster_agreement, entry)
    return adata if copy else None
