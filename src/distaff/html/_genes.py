"""The genes that go up and down with each factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import error, factor_order
from distaff._keys import Slots
from distaff.html._encode import numbers
from distaff.html._factors import Factors
from distaff.pl._factors import centered

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["top_genes"]

N_TOP = 20  # genes on either side


def top_genes(adata: AnnData, key: str, factors: Factors) -> dict[str, Any] | None:
    """Genes with the largest loadings, or else the largest effects of a traversal; None without either.

    Returns
    -------
    ``source``; ``names`` of all genes that occur; for each factor ``up`` and ``down``, each positions in
    ``names`` and values, the strongest first.
    """
    slots = Slots(key)
    for source, slot in (("loadings", slots.loadings), ("traversal", slots.traversal)):
        if slot in adata.varm:
            return {"source": source, **_largest(_read(adata, slot, factors))}
    return None


def _read(adata: AnnData, slot: str, factors: Factors) -> pd.DataFrame:
    """(genes, factors) in the direction of each factor; genes outside of the model are left out."""
    stored = adata.varm[slot]
    values = np.asarray(stored, dtype=np.float64)
    if isinstance(stored, pd.DataFrame):
        values = values[:, factor_order(stored.columns, factors.names, name=f"adata.varm[{slot!r}]")]
    elif values.shape[1] != len(factors.names):
        raise error(f"adata.varm[{slot!r}] must have {len(factors.names)} columns", got=values.shape[1])
    table = pd.DataFrame(values * factors.direction, index=adata.var_names, columns=factors.names)
    return centered(table[np.isfinite(values).all(axis=1)])


def _largest(table: pd.DataFrame) -> dict[str, Any]:
    genes: dict[str, int] = {}
    rows: dict[str, list[Any]] = {"up": [], "down": []}
    names = table.index.astype(str)
    for column in table.to_numpy().T:
        order = np.argsort(-column, kind="stable")
        sides = {"up": order[:N_TOP], "down": order[::-1][:N_TOP]}
        for side, sign in (("up", 1), ("down", -1)):
            chosen = [i for i in sides[side] if sign * column[i] > 0]
            places = [genes.setdefault(names[i], len(genes)) for i in chosen]
            rows[side].append([places, numbers(column[chosen])])
    return {"names": list(genes), **rows}
