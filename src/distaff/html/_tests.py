"""Stored tests of factors, in the direction in which the page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._keys import Slots
from distaff.html._encode import numbers
from distaff.html._factors import Factors, stored_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["enriched_sets", "ranked_groups"]

MAX_ROWS = 20_000  # of the table of groups
MAX_SETS = 12  # of a factor
STATISTIC = {"moments": "z", "ulm": "t"}  # what the statistic of each method is


def ranked_groups(adata: AnnData, key: str, factors: Factors) -> dict[str, Any] | None:
    """Table of ``tl.rank_factors``, one list a column; None without it, or if it is of another latent."""
    entry = stored_entry(adata, key, Slots.rank_factors)
    if not isinstance(entry, Mapping) or str(entry["params"]["use_rep"]) != Slots(key).latent:
        return None
    table, place = _of_factors(entry["table"], factors)
    strongest = np.argsort(table["p_value"].fillna(1.0).to_numpy(), kind="stable")[:MAX_ROWS]
    table, place = table.iloc[strongest], place[strongest]
    turn = factors.direction[place]
    lower, upper = table["lower"].to_numpy() * turn, table["upper"].to_numpy() * turn
    codes, groups = pd.factorize(table["group"].astype(str), sort=True)
    return {
        "groups": list(groups),
        "about": _described(entry["groups"]),
        "params": {name: str(value) for name, value in entry["params"].items()},
        "n_rows": len(entry["table"]),
        "factor": place.tolist(),
        "group": codes.tolist(),
        "effect": numbers(table["effect"] * turn),
        "lower": numbers(np.fmin(lower, upper)),
        "upper": numbers(np.fmax(lower, upper)),
        "q": numbers(table["q_value"]),
        "bayes": numbers(table["log_bayes_factor"] * turn),
    }


def enriched_sets(adata: AnnData, key: str, factors: Factors) -> dict[str, Any] | None:
    """The strongest sets of each factor in the table of ``tl.enrich``, one list a column; None without it."""
    entry = stored_entry(adata, key, Slots.enrich)
    slots = Slots(key)
    if not isinstance(entry, Mapping):
        return None
    source = str(entry["params"]["use_loadings"])
    if source not in (slots.loadings, slots.traversal):
        return None
    table, place = _of_factors(entry["table"], factors)
    tested = table["statistic"].notna().to_numpy()
    table, place = table[tested], place[tested]
    significant = pd.Series(place[(table["q_value"] < 0.05).to_numpy()]).value_counts()
    strongest = np.lexsort((-table["statistic"].abs().to_numpy(), place))
    table, place = table.iloc[strongest], place[strongest]
    kept = (pd.Series(place).groupby(place).cumcount() < MAX_SETS).to_numpy(dtype=bool)
    n_tested = int(table["gene_set"].nunique())
    table, place = table[kept], place[kept]
    codes, sets = pd.factorize(table["gene_set"].astype(str))
    return {
        "sets": list(sets),
        "called": STATISTIC.get(str(entry["params"]["method"]), "statistic"),
        "n_tested": n_tested,
        "n_shown": MAX_SETS,
        "n_significant": significant.reindex(range(len(factors.names)), fill_value=0).tolist(),
        "factor": place.tolist(),
        "set": codes.tolist(),
        "statistic": numbers(table["statistic"] * factors.direction[place]),
        "q": numbers(table["q_value"]),
        "n_genes": numbers(table["n_genes"]),
    }


def _of_factors(table: pd.DataFrame, factors: Factors) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of factors of this latent, and the position of each."""
    place = factors.places(table["factor"])
    return table[place >= 0], place[place >= 0]


def _described(groups: pd.DataFrame) -> list[dict[str, Any]]:
    counts = ("n_cells", "n_cells_reference", "n_samples", "n_samples_reference")
    return [
        {"group": str(name), "test": str(row["test"]), **{count: int(row[count]) for count in counts}}
        for name, row in groups.iterrows()
    ]
