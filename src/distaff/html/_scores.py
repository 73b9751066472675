"""Stored scores of how well single factors stand for what is known of the cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._keys import Slots
from distaff.html._encode import number, numbers
from distaff.html._factors import Factors, stored_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["known_scores"]


def known_scores(adata: AnnData, key: str, factors: Factors) -> dict[str, Any] | None:
    """Scores of ``tl.disentanglement``; None without them.

    Returns
    -------
    ``known``, what was scored; for each metric its ``score``, ``noise``, ``ceiling`` (each a list) and
    ``best``, the position of the best factor or -1; ``summary`` of each metric; ``latent``.
    """
    entry = stored_entry(adata, key, Slots.disentanglement)
    if not isinstance(entry, Mapping):
        return None
    own = str(entry["params"]["use_rep"]) == Slots(key).latent
    scores: pd.DataFrame = entry["scores"]
    labels = entry["factors"]["label"].reindex(scores.index)
    metrics = {}
    for name in scores.columns:
        best = entry["best_dimension"][name]
        metrics[str(name)] = {
            "score": numbers(scores[name]),
            "noise": _reference(entry, "noise", name, scores.index),
            "ceiling": _reference(entry, "ceiling", name, scores.index),
            "best": (factors.places(best) if own else np.full(len(best), -1)).tolist(),
        }
    return {
        "use_rep": str(entry["params"]["use_rep"]),
        "own": own,
        "known": [str(label) for label in labels.fillna(pd.Series(scores.index, scores.index))],
        "metrics": metrics,
        "summary": {str(name): _summary(entry, str(name)) for name in scores.columns},
        "latent": {str(name): number(value) for name, value in entry.get("latent", {}).items()},
    }


def _reference(entry: Mapping[str, Any], part: str, metric: str, index: pd.Index) -> list[float | None]:
    """Noise or ceiling of one metric, in the order of the scores; None where it was not computed."""
    table = entry.get(part)
    if table is None or metric not in table:
        return [None] * len(index)
    return numbers(table[metric].reindex(index))


def _summary(entry: Mapping[str, Any], metric: str) -> dict[str, float | None]:
    """Score as a whole, with its references where there are any."""
    means = entry.get("means")
    known = means.loc[metric] if means is not None and metric in means.index else {}
    references = {part: number(known.get(part, np.nan)) for part in ("noise", "ceiling")}
    return {"score": number(entry["summary"].get(metric, np.nan)), **references}
