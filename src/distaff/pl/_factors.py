"""Factors as the figures show them: which ones, turned in their direction, named as in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_int, error, factor_order, listing, modelled_genes, name_list, real_values
from distaff._keys import Slots
from distaff.pl._read import read_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Choice", "centered", "choose", "factor_values", "known_factors", "read_factors", "read_loadings"]

Choice = int | str | Sequence[str] | None


def read_factors(adata: AnnData, key: str) -> pd.DataFrame:
    """Table of ``tl.factors``, one row a factor, in the order of the latent."""
    call = f"distaff.tl.factors(adata, key={key!r})"
    table = read_entry(adata, key, Slots.factors, call)
    if not isinstance(table, pd.DataFrame) or table.empty or not table.index.is_unique:
        got = f"{len(table)} rows" if isinstance(table, pd.DataFrame) else type(table).__name__
        rule = f"adata.uns[{key!r}]['factors'] must be a table with a row for each factor"
        raise error(rule, got=got, fix=f"Run {call} again.")
    if "rank" not in table:
        raise error(
            f"adata.uns[{key!r}]['factors'] must hold ranks",
            got=listing(table.columns),
            fix=f"Run {call}.",
            kind=KeyError,
        )
    return table.set_axis(table.index.astype(str))


def known_factors(adata: AnnData, key: str, names: Sequence[str], *, own: bool) -> pd.DataFrame:
    """Rank, use and direction of the factors of another table.

    Those of ``tl.factors`` where these are its ``own`` factors; else they rank as they come, not turned.
    """
    entry = adata.uns.get(Slots(key).uns)
    table = entry.get(Slots.factors) if own and isinstance(entry, Mapping) else None
    if isinstance(table, pd.DataFrame) and {"rank", "direction"} <= set(table.columns):
        table = table.set_axis(table.index.astype(str))
        if set(names) <= set(table.index):
            return table.loc[list(names), ["rank", "active", "direction"]]
    return pd.DataFrame(
        {"rank": np.arange(1, len(names) + 1), "active": True, "direction": 1}, index=[*map(str, names)]
    )


def choose(table: pd.DataFrame, wanted: Choice, *, default: int) -> list[str]:
    """Names of the factors to draw: those wanted, or the active ones of the first ranks.

    A number asks for the first so many ranks; where no factor is active, inactive ones are drawn.
    """
    ranked = table.sort_values("rank")
    ranked = ranked[ranked["active"]] if ranked["active"].any() else ranked
    if wanted is None:
        return list(ranked.index[:default])
    if isinstance(wanted, int | Integral):
        return list(ranked.index[: check_int("factors", wanted, minimum=1)])
    names = [str(name) for name in name_list("factors", wanted)]
    unknown = [name for name in names if name not in table.index]
    if unknown or not names:
        raise error(
            "factors must name rows of the factor table",
            got=listing(unknown) or "none",
            fix=f"There are {listing(ranked.index)}.",
            kind=KeyError,
        )
    return names


def factor_values(adata: AnnData, key: str, table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    """(cells, names) values of the latent, times the direction of each factor."""
    slot = Slots(key).latent
    stored = adata.obsm.get(slot)
    if stored is None or stored.shape[1:] != (len(table),):
        raise error(
            f"adata.obsm[{slot!r}] must hold the {len(table)} factors of the table",
            got="nothing" if stored is None else f"{' x '.join(map(str, stored.shape[1:]))} columns",
            fix=f"Run distaff.tl.factors(adata, key={key!r}) again.",
            kind=KeyError,
        )
    places = table.index.get_indexer(names)
    part: Any = stored.iloc[:, places] if isinstance(stored, pd.DataFrame) else stored[:, places]
    values = real_values(f"adata.obsm[{slot!r}]", part)
    if not len(values) or not np.isfinite(values).all():
        got = "a missing or infinite value" if len(values) else "no cells"
        raise error(f"adata.obsm[{slot!r}] must be finite values of cells", got=got)
    return values * table["direction"].to_numpy()[places]


def read_loadings(adata: AnnData, key: str, table: pd.DataFrame) -> pd.DataFrame:
    """(genes, factors) loadings times the direction of each factor."""
    slot = Slots(key).loadings
    if slot not in adata.varm:
        raise error(
            f"adata.varm must hold the loadings {slot!r}",
            got=listing(list(adata.varm)) or "nothing",
            fix=f"Run distaff.tl.loadings(adata, model, key={key!r}), for a model whose decoder is linear.",
            kind=KeyError,
        )
    stored = adata.varm[slot]
    values = real_values(f"adata.varm[{slot!r}]", stored)
    if isinstance(stored, pd.DataFrame):
        values = values[:, factor_order(stored.columns, table.index, name=f"adata.varm[{slot!r}]")]
    elif values.shape[1] != len(table):
        raise error(f"adata.varm[{slot!r}] must have {len(table)} columns", got=values.shape[1])
    turned = values * table["direction"].to_numpy()
    return modelled_genes(pd.DataFrame(turned + 0.0, index=adata.var_names, columns=table.index))  # no -0.0


def centered(L: pd.DataFrame) -> pd.DataFrame:
    """Subtract the mean of each column, which a softmax leaves free.

    Not from loadings that are not negative, which have a zero of their own, nor from a column with exact
    zeros, which are genes without a part in the factor.
    """
    if (L >= 0).all(axis=None):
        return L
    return L - L.mean().where(~(L == 0).any(), 0.0)
