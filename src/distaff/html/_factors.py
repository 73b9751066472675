"""The factors of a latent: names, values turned in their direction, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, listing, real_values
from distaff._keys import Slots
from distaff.html._encode import numbers

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Factors", "describe", "read_factors", "stored_entry"]

MEASURES = ("rank", "variance_explained", "kl", "l2_norm", "n_genes")


@dataclass(frozen=True)
class Factors:
    """Factors in the order of the latent.

    Parameters
    ----------
    names
        Name of each.
    table
        What ``tl.latent`` and ``tl.factors`` stored, one row a factor; no columns without it.
    values
        (factors, cells) float32, times the direction.
    direction
        (factors,) 1 or -1.
    """

    names: list[str]
    table: pd.DataFrame
    values: NDArray[np.float32]
    direction: NDArray[np.int64]

    @property
    def ranked(self) -> bool:
        """Whether ``tl.factors`` was run."""
        return "rank" in self.table

    @property
    def order(self) -> NDArray[np.int64]:
        """Positions by rank, or as they stand."""
        if not self.ranked:
            return np.arange(len(self.names))
        return np.argsort(self.table["rank"].to_numpy(), kind="stable")

    def places(self, names: pd.Series) -> NDArray[np.int64]:
        """Position of the factor of each name, -1 for one that is none."""
        return pd.Index(self.names).get_indexer(pd.Index(names.astype(str)))


def read_factors(adata: AnnData, key: str) -> Factors:
    """Read the latent and the table of its factors.

    Raises
    ------
    KeyError
        If there is no latent.
    ValueError
        If it is empty or not finite, or two factors have one name.
    """
    stored = _latent(adata, key)
    slot = f"adata.obsm[{Slots(key).latent!r}]"
    with np.errstate(over="ignore"):  # what is no float32 is infinite, and refused
        values = real_values(slot, stored).astype(np.float32)
    if values.ndim != 2 or 0 in values.shape:
        raise error(f"{slot} must hold cells and factors", got=f"shape {values.shape}")
    if not np.isfinite(values).all():
        cell = adata.obs_names[int(np.argwhere(~np.isfinite(values))[0, 0])]
        raise error(f"{slot} must be finite", got=f"a missing or infinite value for cell {cell!r}")
    names, table = _table(adata, key, stored, values.shape[1])
    direction = np.ones(len(names), dtype=np.int64)
    if "direction" in table:
        direction = np.where(table["direction"].to_numpy() < 0, -1, 1)
    turned = np.ascontiguousarray(values.T) * direction[:, None].astype(np.float32) + np.float32(0)
    return Factors(names, table, turned, direction)


def stored_entry(adata: AnnData, key: str, name: str) -> Any:
    """Entry of ``uns[key]``; None without it."""
    holder = adata.uns.get(Slots(key).uns)
    return holder.get(name) if isinstance(holder, Mapping) else None


def describe(factors: Factors) -> dict[str, Any]:
    """Names and all measures there are, each a list (factors,)."""
    table = factors.table
    found: dict[str, Any] = {"names": factors.names, "order": factors.order.tolist()}
    for measure in MEASURES:
        if measure in table:
            found[measure] = numbers(table[measure])
    if "kind" in table:
        found["kind"] = table["kind"].astype(str).tolist()
    if "active" in table:
        found["active"] = table["active"].astype(bool).tolist()
    if "direction" in table:
        found["direction"] = factors.direction.tolist()
    return found


def _latent(adata: AnnData, key: str) -> Any:
    slot = Slots(key).latent
    if slot not in adata.obsm:
        others = [name for name in adata.uns if Slots(str(name)).latent in adata.obsm]
        fix = f"Run distaff.tl.latent(adata, model, key={key!r}) first"
        raise error(
            f"adata.obsm must hold the latent {slot!r}",
            got=listing(list(adata.obsm)) or "nothing",
            fix=f"{fix}, or pass one of the keys {listing(others)}." if others else f"{fix}.",
            kind=KeyError,
        )
    return adata.obsm[slot]


def _table(adata: AnnData, key: str, stored: Any, n: int) -> tuple[list[str], pd.DataFrame]:
    """Names of the factors and their table; a table of another latent does not count."""
    table = stored_entry(adata, key, Slots.factors)
    if isinstance(table, pd.DataFrame) and len(table) == n:
        names = [str(name) for name in table.index]
    else:
        columns = (
            stored.columns if isinstance(stored, pd.DataFrame) else [f"Factor {i + 1}" for i in range(n)]
        )
        names, table = [str(name) for name in columns], pd.DataFrame(index=range(n))
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise error("Names of factors must differ", got=f"{listing(twice)} more than once")
    return names, table.set_axis(names)
