"""Results of metrics that score dimensions, told per factor too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff.metrics._contract import Problem, summarise
from distaff.metrics._score import Score

__all__ = ["summarise_dimensions", "weighted_mean"]


def weighted_mean(scores: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Mean of ``scores``, 0 where nothing has a weight."""
    total = weights.sum()
    return float((scores * weights).sum() / total) if total > 0 else 0.0


def summarise_dimensions(
    name: str,
    problem: Problem,
    matrix: NDArray[np.float64],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    params: dict[str, Any],
    details: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
    summary: dict[str, float] | None = None,
) -> Score:
    """Build the result of scores (dimensions,) with their weights in the mean.

    The score of a factor is the weighted mean of the dimensions that lean to it most, 0 if none does: a
    factor that the latent misses is seen there, whereas the mean over dimensions passes over it.
    """
    values = np.where(np.isnan(matrix), -np.inf, matrix)
    best = np.where((values.max(axis=1) > 0) & (weights > 0), values.argmax(axis=1), -1)
    defined = np.asarray(~np.isnan(matrix).any(axis=0))
    per_factor = [
        weighted_mean(scores[best == k], weights[best == k]) if ok else np.nan for k, ok in enumerate(defined)
    ]
    result = summarise(
        name, problem, matrix, np.array(per_factor), params=params, details=details, summary=summary
    )
    names = [problem.factors[k].name if k >= 0 else None for k in best]
    table = {"score": scores, "weight": weights, "best_factor": pd.Series(names, dtype=object).to_numpy()}
    return replace(
        result,
        value=weighted_mean(scores, weights) if defined.any() else float("nan"),
        per_dimension=pd.DataFrame({**table, **(columns or {})}, index=problem.dimensions),
    )
