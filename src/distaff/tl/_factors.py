"""Factors of variation gathered from columns of ``obs`` and tables of ``obsm``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from distaff._checks import error, listing, name_list
from distaff.metrics._factors import Factor

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Source", "gather", "safe_names", "source_table"]


@dataclass(frozen=True)
class Source:
    """Where a factor comes from.

    Parameters
    ----------
    slot
        "obs" or "obsm".
    name
        Column of ``obs``, or key of ``obsm``.
    column
        Column of the table in ``obsm``, "" in ``obs``.
    """

    slot: str
    name: str
    column: str = ""


def gather(adata: AnnData, factors: str | Sequence[str]) -> tuple[pd.DataFrame, dict[str, Source]]:
    """Return the factors as one table (cells, factors), and the source of each column.

    A name is a column of ``obs``, else a key of ``obsm``. The columns of an unnamed table are "key 1", ...
    """
    several = isinstance(factors, Iterable) and not isinstance(factors, str | bytes)
    given: list[Any] = list(factors) if several else [factors]
    if not name_list("factors", given):
        raise error("factors must name at least one column of adata.obs or table of adata.obsm", got="none")
    columns: list[pd.Series] = []
    sources: dict[str, Source] = {}
    for name in given:
        for label, column, source in _read(adata, name):
            if label in sources:
                raise error("Names of factors must differ", got=f"{label!r} more than once")
            sources[label] = source
            columns.append(column.rename(label))
    return pd.concat(columns, axis=1), sources


def _read(adata: AnnData, name: str) -> list[tuple[str, pd.Series, Source]]:
    if name in adata.obs.columns:
        return [(name, adata.obs[name], Source("obs", name))]
    if name not in adata.obsm:
        raise error(
            "factors must name columns of adata.obs or tables of adata.obsm",
            got=repr(name),
            fix=f"The columns are {listing(adata.obs.columns) or 'none'}; "
            f"the tables are {listing(list(adata.obsm)) or 'none'}.",
            kind=KeyError,
        )
    stored = adata.obsm[name]
    if not isinstance(stored, pd.DataFrame):
        values = stored.toarray() if issparse(stored) else np.asarray(stored)
        numbers = [f"{name} {i + 1}" for i in range(values.shape[1])]
        stored = pd.DataFrame(values, index=adata.obs_names, columns=numbers)
    return [(str(label), stored[label], Source("obsm", name, str(label))) for label in stored.columns]


def source_table(scored: list[Factor], sources: dict[str, Source]) -> pd.DataFrame:
    """One row a scored factor: its source, kind and class, for those who want to look at the cells again."""
    rows = {}
    for factor in scored:
        for part in (factor, *factor.one_vs_rest()):
            source = sources[factor.name]
            rows[part.name] = {
                "label": part.name,
                "slot": source.slot,
                "name": source.name,
                "column": source.column,
                "class": part.classes[-1] if part.kind == "binary" else "",
                "kind": part.kind,
                "n_cells": int(part.labelled.sum()),
                "n_missing": int((~part.labelled).sum()),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def safe_names(names: Sequence[str]) -> dict[str, str]:
    """Names that can be columns of a table in any file: "/" opens a folder there, so it becomes "_"."""
    safe: dict[str, str] = {}
    for name in names:
        plain = candidate = name.replace("/", "_")
        number = 2
        while candidate in safe.values():
            candidate, number = f"{plain} ({number})", number + 1
        safe[name] = candidate
    return safe
