"""Slots that the figures read, with errors that say which tool writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import issparse

from distaff._checks import check_choice, error, listing
from distaff._keys import Slots

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Scored", "embedding", "read_entry", "read_scores"]

METRIC_LABELS = {
    "max_spearman": "|Spearman|",
    "single_dimension_accuracy": "accuracy",
    "mig": "MIG",
    "smi": "SMI",
    "lms": "matched SMI",
}
MATRIX_OF = {"lms": "smi"}  # a matching has no matrix of its own


class Scored:
    """What ``tl.disentanglement`` stored of one metric.

    Parameters
    ----------
    entry
        ``uns[key]["disentanglement"]``.
    metric
        Name of the metric; None for the first that has a matrix.
    """

    def __init__(self, entry: Mapping[str, Any], metric: str | None) -> None:
        matrices = entry["matrices"]
        available = [name for name in entry["scores"].columns if MATRIX_OF.get(name, name) in matrices]
        self.metric = available[0] if metric is None else check_choice("metric", metric, available)
        self.matrix: pd.DataFrame = matrices[MATRIX_OF.get(self.metric, self.metric)]
        self.scores: pd.Series = entry["scores"][self.metric].dropna()
        self.best: pd.Series = entry["best_dimension"][self.metric]
        self.factors: pd.DataFrame = entry["factors"]
        self.use_rep: str = str(entry["params"]["use_rep"])

    @property
    def metric_label(self) -> str:
        """Short name for titles."""
        return METRIC_LABELS.get(self.metric, self.metric)

    def choose(self, wanted: str | list[str] | None) -> list[str]:
        """Rows to draw: all that have a score, or those that a wanted name stands for.

        A name is that of a row, or of a column of ``obs`` or table of ``obsm`` for all its rows.
        """
        if wanted is None:
            return list(self.scores.index)
        table = self.factors.loc[self.scores.index]
        rows: list[str] = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            exact = (table.index == name) | (table["label"] == name)
            hits = table.index[exact if exact.any() else table["name"] == name]
            if hits.empty:
                raise error(
                    f"factors must name what tl.disentanglement has scored by {self.metric}",
                    got=repr(name),
                    fix=f"There are {listing(list(table.index)) or 'none'}.",
                    kind=KeyError,
                )
            rows += [row for row in hits if row not in rows]
        return rows

    def values(self, adata: AnnData, dimension: str) -> NDArray[np.float64]:
        """(cells,) values of a dimension of the representation that was scored."""
        stored = adata.obsm[self.use_rep]
        column = list(self.matrix.index).index(dimension)
        if isinstance(stored, pd.DataFrame):
            return stored.iloc[:, column].to_numpy(dtype=np.float64)
        part = stored[:, [column]]
        return np.asarray(part.toarray() if issparse(part) else part, dtype=np.float64).ravel()


def read_entry(adata: AnnData, key: str, entry: str, tool: str) -> Any:
    """Entry of ``uns[key]``; ``tool`` is the call that writes it."""
    holder = adata.uns.get(Slots(key).uns)
    if not isinstance(holder, Mapping) or entry not in holder:
        raise error(
            f"adata.uns[{key!r}] must hold {entry!r}",
            got=listing(list(holder)) if isinstance(holder, Mapping) else "nothing",
            fix=f"Run {tool} first.",
            kind=KeyError,
        )
    return holder[entry]


def read_scores(adata: AnnData, key: str, metric: str | None) -> Scored:
    """Scores of one metric."""
    call = f"distaff.tl.disentanglement(adata, factors, key={key!r})"
    scored = Scored(read_entry(adata, key, Slots.disentanglement, call), metric)
    if scored.scores.empty:
        raise error(f"{scored.metric} must be defined for a factor", got="NaN for all")
    return scored


def embedding(adata: AnnData, key: str, basis: str | None) -> tuple[NDArray[np.float64], str]:
    """(cells, 2) coordinates and their name; ``basis`` with or without "X_"."""
    names = [Slots(key).umap] if basis is None else [basis, f"X_{basis}"]
    found = [name for name in names if name in adata.obsm]
    if not found:
        raise error(
            f"adata.obsm must hold the embedding {names[0]!r}",
            got=listing(list(adata.obsm)) or "nothing",
            fix=f"Run distaff.tl.umap(adata, key={key!r}), or pass basis='X_umap' to use another.",
            kind=KeyError,
        )
    points = np.asarray(adata.obsm[found[0]], dtype=np.float64)
    if points.shape[1] < 2:
        raise error(f"adata.obsm[{found[0]!r}] must have two columns", got=points.shape[1])
    return points[:, :2], "UMAP" if found[0].endswith("umap") else found[0].removeprefix("X_")
