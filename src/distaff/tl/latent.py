"""Write the latent of a model into an AnnData."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._factor_table import factor_table

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["latent"]

TABLES = ("kl_per_dimension_train", "kl_per_dimension_validation")


def latent(adata: AnnData, model: Any, *, key: str = DEFAULT_KEY, copy: bool = False) -> AnnData | None:
    """Latent of each cell, what it was made with, and the training curves.

    Parameters
    ----------
    adata
        Cells with the genes of the model.
    model
        Trained model: any of scvi-tools with ``get_latent_representation``.
    key
        Prefix of the slots.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes

    - ``obsm["X_{key}"]``: (cells, factors) float32, latent representation
    - ``obsm["{key}_inclusion"]``: (cells, factors) float32, probability that a factor is on, where the
      latent has a gate
    - ``uns["{key}"]["params"]``: model class, configuration, versions, seed
    - ``uns["{key}"]["history"]``: DataFrame (epochs, curves)
    - ``uns["{key}"]["kl_per_dimension"]``: DataFrame (epochs, dimensions) in nats, models of distaff only
    - ``uns["{key}"]["factors"]``: DataFrame (factors, columns) with the ``kind`` of each factor (latent,
      annotated, sparse, dense); ``active``, whether the model uses it: its posterior mean varies over cells
      by more than 0.01 of what the prior expects :cite:p:`Burda16`, and it has a loading if the decoder is
      linear; ``kl``, its mean KL in nats a cell, NaN where there is none. Left out for a model of others
      whose latent has no standard normal prior.

    and removes scores, tests, clusters, UMAP and t-SNE of another latent under the same key.

    Raises
    ------
    TypeError
        If the model has no ``get_latent_representation``.
    ValueError
        If the latent has another number of cells or holds a value that is not finite.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.BetaVAE.setup_anndata(adata)
    >>> model = ds.model.BetaVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> ds.tl.latent(adata, model)
    >>> adata.obsm["X_distaff"].shape
    (100, 4)
    """
    if not hasattr(model, "get_latent_representation"):
        raise error("model must have get_latent_representation()", got=type(model).__name__, kind=TypeError)
    adata = adata.copy() if copy else adata
    slots = Slots(key)
    Z = np.asarray(model.get_latent_representation(adata), dtype=np.float32)
    if not np.isfinite(Z).all():
        cell = adata.obs_names[int(np.argwhere(~np.isfinite(Z))[0, 0])]
        raise error("The latent must be finite", got=f"a missing or infinite value for cell {cell!r}")
    _drop_stale(adata, slots, Z)
    adata.obsm[slots.latent] = Z
    if getattr(model, "has_gate", False):
        adata.obsm[slots.inclusion] = model.get_inclusion_probability(adata)
    entry = {**adata.uns.get(slots.uns, {}), slots.params: _params(model), **_history(model)}
    entry.pop(slots.factors, None)
    table = factor_table(model, adata, Z)
    adata.uns[slots.uns] = entry if table is None else {**entry, slots.factors: table}
    return adata if copy else None


def _drop_stale(adata: AnnData, slots: Slots, Z: np.ndarray) -> None:
    """Remove what was computed from another latent under the same key: it would pass for this one's."""
    old = adata.obsm.get(slots.latent)
    if old is None or np.array_equal(np.asarray(old), Z):
        return
    for name in (slots.umap, slots.tsne, slots.inclusion):
        if name in adata.obsm:
            del adata.obsm[name]
    adata.varm.pop(slots.traversal, None)
    for name in (
        Slots.disentanglement,
        Slots.cluster_agreement,
        Slots.rank_factors,
        Slots.enrich,
        Slots.traversed,
    ):
        adata.uns.get(slots.uns, {}).pop(name, None)


def _params(model: Any) -> dict[str, Any]:
    """Configuration as plain values that any file format takes; an argument that is None is left out."""
    init = getattr(model, "init_params_", {"non_kwargs": {}, "kwargs": {}})
    arguments = {**init["non_kwargs"], **{k: v for kw in init["kwargs"].values() for k, v in kw.items()}}
    params: dict[str, Any] = {name: _plain(value) for name, value in arguments.items() if value is not None}
    params["model"] = type(model).__name__
    params["distaff_version"] = version("distaff")
    params["scvi_tools_version"] = version("scvi-tools")
    if getattr(model, "seed_", None) is not None:
        params["seed"] = int(model.seed_)
    return params


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _history(model: Any) -> dict[str, pd.DataFrame]:
    """One table for all curves; another for the KL of each dimension."""
    history = getattr(model, "history", None) or {}
    curves = {name: curve.iloc[:, 0] for name, curve in history.items() if name not in TABLES}
    tables = {}
    if curves:
        tables[Slots.history] = pd.DataFrame(curves).astype(float).rename_axis("epoch")
    if TABLES[0] in history:
        tables[Slots.kl_per_dimension] = history[TABLES[0]].astype(float).rename_axis("epoch")
    return tables
