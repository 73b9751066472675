"""Mean ranks of methods over scores, data sets and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

__all__ = ["complete", "mean_ranks", "value_table"]


def complete(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Results of the runs (data, seed) that every method has, without the methods that lack a data set."""
    there = [r for r in records if "scores" in r]
    sets = {r["data"] for r in there}
    by_method: dict[str, set[tuple[str, int]]] = {}
    for r in there:
        by_method.setdefault(r["method"], set()).add((r["data"], r["seed"]))
    whole = {name: runs for name, runs in by_method.items() if {data for data, _ in runs} == sets}
    common = set.intersection(*whole.values()) if whole else set()
    return [r for r in there if r["method"] in whole and (r["data"], r["seed"]) in common]


def mean_ranks(records: Iterable[Mapping[str, Any]], scores: Iterable[str]) -> pd.DataFrame:
    """Mean rank over the scores, (methods, runs); the columns are (data, seed) and 1 is the best.

    Ties share their ranks. A score that a data set does not have counts for nobody.
    """
    wanted, columns = list(scores), {}
    runs: dict[tuple[str, int], dict[str, pd.Series]] = {}
    for r in complete(records):
        runs.setdefault((r["data"], r["seed"]), {})[r["method"]] = pd.Series(r["scores"], dtype=float)
    for run, found in runs.items():
        table = pd.DataFrame(found).reindex(wanted).dropna()
        columns[run] = table.rank(axis=1, ascending=False).mean()
    ranks = pd.DataFrame(columns)
    ranks.columns = pd.MultiIndex.from_tuples(ranks.columns, names=["data", "seed"])
    return ranks


def value_table(records: Iterable[Mapping[str, Any]], value: str) -> pd.DataFrame:
    """Mean over seeds of a measurement or score, (methods, data); NaN where there is none."""
    rows = [
        {"method": r["method"], "data": r["data"], "value": r["scores"].get(value, r.get(value))}
        for r in records
        if "scores" in r
    ]
    table = pd.DataFrame(rows).astype({"value": float})
    return table.pivot_table(index="method", columns="data", values="value", sort=False)
