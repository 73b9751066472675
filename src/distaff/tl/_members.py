"""Factors of several models or stored latents, read for one AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, factor_order, listing
from distaff._keys import Slots
from distaff.metrics._contract import constant_columns
from distaff.tl import _factor_table
from distaff.tl._names import model_names
from distaff.tl._representation import factor_table, model_latent, representation

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Run", "read_runs"]

MIN_RUNS = 2


@dataclass(frozen=True, eq=False)
class Run:
    """Active factors of one run.

    Parameters
    ----------
    name
        Key of a stored latent, else counted from 1.
    factors
        Names.
    kinds
        Kind of each factor.
    Z
        (cells, factors)
    L
        (genes, factors), None for a run without loadings.
    """

    name: str
    factors: list[str]
    kinds: list[str]
    Z: NDArray[np.float64]
    L: NDArray[np.float64] | None

    @property
    def non_negative(self) -> bool:
        """Whether no score is below 0, so that the sign of a factor is no choice."""
        return bool((self.Z >= 0).all())

    def active(self, active: NDArray[np.bool_]) -> Run:
        """Leave out factors that do not vary, or that are not active."""
        kept = np.flatnonzero(active & ~constant_columns(self.Z))
        if not len(kept):
            raise error("A run must have an active factor", got=f"none in {self.name!r}")
        names, kinds = ([part[i] for i in kept] for part in (self.factors, self.kinds))
        return Run(self.name, names, kinds, self.Z[:, kept], None if self.L is None else self.L[:, kept])


def read_runs(adata: AnnData, models: Sequence[Any]) -> list[Run]:
    """Read each model, or stored latent of that key."""
    if isinstance(models, str) or not isinstance(models, Sequence):
        raise error("models must be a list of models or keys", got=repr(models), kind=TypeError)
    if len(models) < MIN_RUNS:
        raise error(f"models must hold {MIN_RUNS} runs or more", got=len(models))
    keys = [model for model in models if isinstance(model, str)]
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        raise error("models must name each key once", got=f"{listing(twice)} more than once")
    names = [model if isinstance(model, str) else f"run {i + 1}" for i, model in enumerate(models)]
    return [
        _stored(adata, model) if isinstance(model, str) else _of_model(adata, model, name)
        for model, name in zip(models, names, strict=True)
    ]


def _stored(adata: AnnData, key: str) -> Run:
    slots = Slots(key)
    Z, _ = representation(adata, key=key, use_rep=None)
    table = factor_table(adata, slots)
    table = table if table is not None and len(table) == Z.shape[1] else pd.DataFrame(index=Z.columns)
    active = table["active"].to_numpy(dtype=bool) if "active" in table else np.ones(Z.shape[1], dtype=bool)
    kinds = [str(kind) for kind in table["kind"]] if "kind" in table else ["latent"] * Z.shape[1]
    L = None
    if slots.loadings in adata.varm:
        stored = adata.varm[slots.loadings]
        L = np.asarray(stored, dtype=np.float64)
        if isinstance(stored, pd.DataFrame):
            L = L[:, factor_order(stored.columns, Z.columns, name=f"adata.varm[{slots.loadings!r}]")]
    return Run(key, list(Z.columns), kinds, Z.to_numpy(), L).active(active)


def _of_model(adata: AnnData, model: Any, name: str) -> Run:
    Z = model_latent(adata, model)
    n = Z.shape[1]
    table = _factor_table.factor_table(model, adata, Z)
    active = np.ones(n, dtype=bool) if table is None else table["active"].to_numpy()
    L = None
    if hasattr(model, "get_loadings") and getattr(model, "has_loadings", True):
        loadings = model.get_loadings()
        if adata.var_names.isin(loadings.index).all():
            L = loadings.loc[adata.var_names].to_numpy(dtype=np.float64)
    kinds = list(getattr(model, "factor_kinds", ["latent"] * n))
    return Run(name, model_names(model, n), kinds, Z.astype(np.float64), L).active(active)
