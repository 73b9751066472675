"""Slots that the figures read, with errors that say which tool writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_adata, check_choice, error, listing, real_values
from distaff._keys import Slots

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Scored", "embedding", "read_entry", "read_scores"]

METRIC_LABELS = {
    "max_spearman": "|Spearman|",
    "single_dimension_accuracy": "accuracy",
    "mig": "MIG",
    "smi": "SMI",
    "lms": "LMS",
    "msas": "MSAS",
    "msgs": "MSGS",
    "spn": "SPN",
    "sap": "SAP",
    "irs": "IRS",
    "dci": "DCI disentanglement",
    "infomec": "InfoM",
    "explicitness": "AUC",
    "beta_vae_score": "beta-VAE score",
    "factor_vae_score": "FactorVAE score",
}
EMBEDDING_LABELS = {"umap": "UMAP", "tsne": "t-SNE"}
MATRIX_OF = dict.fromkeys(("lms", "msas", "msgs"), "smi")  # an aggregation has no matrix of its own
MATRIX_LABELS = {  # what the pairs are, where it is something else than the score
    **dict.fromkeys(("lms", "msas", "msgs"), "SMI"),
    "mig": "share of information",
    "infomec": "share of information",
    "modularity": "information (nats)",
    "sap": "accuracy, squared correlation",
    "irs": "robustness",
    "dci": "importance",
    "beta_vae_score": "stillness",
    "factor_vae_score": "share of votes",
}


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
        self.noise, self.ceiling = (self._reference(entry, name) for name in ("noise", "ceiling"))
        self.factors: pd.DataFrame = entry["factors"]
        self.use_rep: str = str(entry["params"]["use_rep"])

    def _reference(self, entry: Mapping[str, Any], name: str) -> pd.Series:
        """Noise floor or ceiling of each factor that has a score, NaN where it was not computed."""
        table = entry.get(name, pd.DataFrame())
        column = table[self.metric] if self.metric in table else pd.Series(dtype=float)
        return column.reindex(self.scores.index)

    @property
    def metric_label(self) -> str:
        """Short name for titles."""
        return METRIC_LABELS.get(self.metric, self.metric)

    @property
    def matrix_label(self) -> str:
        """Short name of what each pair scores."""
        return MATRIX_LABELS.get(self.metric, self.metric_label)

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
        part: Any = stored.iloc[:, [column]] if isinstance(stored, pd.DataFrame) else stored[:, [column]]
        return real_values(f"adata.obsm[{self.use_rep!r}]", part).ravel()


def read_entry(adata: AnnData, key: str, entry: str, tool: str) -> Any:
    """Entry of ``uns[key]``; ``tool`` is the call that writes it."""
    check_adata(adata)
    holder = adata.uns.get(Slots(key).uns)
    if not isinstance(holder, Mapping) or entry not in holder:
        raise error(
            f"adata.uns[{key!r}] must hold {entry!r}",
            got=listing(list(holder)) if isinstance(holder, Mapping) else "nothing",
            fix=f"Run {tool} first.",
            kind=KeyError,
        )
    found = holder[entry]
    if not isinstance(found, pd.DataFrame | Mapping | np.ndarray):
        rule = f"adata.uns[{key!r}][{entry!r}] must be what {tool} writes"
        raise error(rule, got=type(found).__name__, fix="Run it again.", kind=TypeError)
    return found


def read_scores(adata: AnnData, key: str, metric: str | None) -> Scored:
    """Scores of one metric."""
    call = f"distaff.tl.disentanglement(adata, factors, key={key!r})"
    scored = Scored(read_entry(adata, key, Slots.disentanglement, call), metric)
    if scored.scores.empty:
        raise error(f"{scored.metric} must be defined for a factor", got="NaN for all")
    return scored


def embedding(adata: AnnData, key: str, basis: str | None) -> tuple[NDArray[np.float64], str]:
    """(cells, 2 or 3) coordinates and their name; see :func:`distaff.pl.latent` for ``basis``."""
    check_adata(adata)
    if basis is not None and not isinstance(basis, str):
        raise error("basis must be a name", got=repr(basis), kind=TypeError)
    own = Slots(key)
    names = [own.umap] if basis is None else [basis, f"X_{basis}", f"X_{key}_{basis}"]
    found = [name for name in names if name in adata.obsm]
    if not found:
        tool = "tsne" if basis is not None and basis.endswith("tsne") else "umap"
        raise error(
            f"adata.obsm must hold the embedding {names[0]!r}",
            got=listing(list(adata.obsm)) or "nothing",
            fix=f"Run distaff.tl.{tool}(adata, key={key!r}), or pass basis='X_{tool}' to use another.",
            kind=KeyError,
        )
    points = real_values(f"adata.obsm[{found[0]!r}]", adata.obsm[found[0]])
    if points.shape[1] < 2:
        raise error(f"adata.obsm[{found[0]!r}] must have two columns", got=points.shape[1])
    n_shown = 3 if points.shape[1] == 3 else 2
    ending = found[0].rpartition("_")[2]
    shown = EMBEDDING_LABELS.get(ending) if found[0] in (own.umap, own.tsne) or ending == "umap" else None
    return points[:, :n_shown], shown or found[0].removeprefix("X_")
