"""Write the latent of a model into an AnnData."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import check_flag
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._factor_table import factor_table
from distaff.tl._names import model_names, same_factors, stored_names
from distaff.tl._representation import factor_table as stored_table
from distaff.tl._representation import model_latent
from distaff.tl._stale import BASIC, drop_of_latent

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

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

    - ``uns["{key}"]["model_names"]``: array (factors,), what the model calls its factors

    Of the same model and cells, what :func:`~distaff.tl.factors` has added to that table stays. Names that
    :func:`~distaff.tl.rename_factors` gave stay if the factors are the same: those of a model of
    the same class with the same factors, each correlated by 0.99 or more with the one stored. Else all names
    are the model's. Scores, tests, clusters, UMAP and t-SNE of another latent under the same key are removed,
    and so are loadings that are not the model's.

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
    check_flag("copy", copy)
    adata = adata.copy() if copy else adata
    slots = Slots(key)
    Z = model_latent(adata, model)
    old = adata.obsm.get(slots.latent)
    names = stored_names(adata, model, slots, Z.shape[1]) if same_factors(old, Z) else None
    unchanged = names is not None and np.array_equal(np.asarray(old), Z)
    table = _table(adata, model, slots, Z, names)
    if old is not None and not unchanged:
        drop_of_latent(adata, slots)
    own = model_names(model, Z.shape[1])
    names = own if names is None or table is None else names
    if old is not None:
        _settle_loadings(adata, model, slots, names)
    adata.obsm[slots.latent] = Z
    if getattr(model, "has_gate", False):
        adata.obsm[slots.inclusion] = model.get_inclusion_probability(adata)
    entry = {**adata.uns.get(slots.uns, {}), slots.params: _params(model), **_history(model, names)}
    entry[slots.model_names] = np.array(own, dtype=str)
    described = entry.pop(slots.factors, None)
    if table is not None:
        entry[slots.factors] = _with_ranks(table, described, adata, model, slots) if unchanged else table
    adata.uns[slots.uns] = entry
    return adata if copy else None


def _with_ranks(
    table: pd.DataFrame, described: pd.DataFrame | None, adata: AnnData, model: Any, slots: Slots
) -> pd.DataFrame:
    """Table with what :func:`~distaff.tl.factors` has added to it, if cells and loadings are the same."""
    if described is None or not set(BASIC) <= set(described) or len(described) != len(table):
        return table
    if not all(np.array_equal(described[name], table[name], equal_nan=True) for name in ("active", "kl")):
        return table  # of other cells with this latent
    if "l2_norm" in described and slots.loadings not in adata.varm:  # there it was found to be the model's
        loadings = model.get_loadings() if getattr(model, "has_loadings", True) else None
        if loadings is None or not np.allclose(np.linalg.norm(loadings, axis=0), described["l2_norm"]):
            return table
    return described.assign(**table)


def _table(
    adata: AnnData, model: Any, slots: Slots, Z: NDArray[np.float32], names: list[str] | None
) -> pd.DataFrame | None:
    """Table of the factors, under the names that they have."""
    table = factor_table(model, adata, Z)
    if names is None:
        return table
    if table is not None:
        return table.set_axis(names)
    stored = stored_table(adata, slots)
    return stored[BASIC] if stored is not None and set(BASIC) <= set(stored) else None


def _settle_loadings(adata: AnnData, model: Any, slots: Slots, names: list[str]) -> None:
    """Give loadings of this model the names of its factors, and remove those of another."""
    stored = adata.varm.get(slots.loadings)
    if stored is None:
        return
    if _are_of(stored, model, adata.var_names):
        adata.varm[slots.loadings] = stored.set_axis(names, axis=1)
    else:
        del adata.varm[slots.loadings]


def _are_of(stored: Any, model: Any, genes: pd.Index) -> bool:
    """Whether the loadings are those of the model, centred or not."""
    if not hasattr(model, "get_loadings") or not getattr(model, "has_loadings", True):
        return False
    own = model.get_loadings().reindex(genes)
    if not isinstance(stored, pd.DataFrame) or stored.shape != own.shape:
        return False
    L, other = (table.to_numpy(dtype=np.float64) for table in (own, stored))
    return np.allclose(L - L.mean(axis=0), other - other.mean(axis=0), atol=1e-5)


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


def _history(model: Any, names: list[str]) -> dict[str, pd.DataFrame]:
    """One table for all curves; another for the KL of each dimension, if it is one of each factor by name."""
    history = getattr(model, "history", None) or {}
    curves = {name: curve.iloc[:, 0] for name, curve in history.items() if name not in TABLES}
    tables = {}
    if curves:
        tables[Slots.history] = pd.DataFrame(curves).astype(float).rename_axis("epoch")
    if TABLES[0] in history:
        kl = history[TABLES[0]].astype(float).rename_axis("epoch")
        tables[Slots.kl_per_dimension] = kl.set_axis(names, axis=1) if kl.shape[1] == len(names) else kl
    return tables
