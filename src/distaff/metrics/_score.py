"""What every metric returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ["Score"]


@dataclass(frozen=True, eq=False)
class Score:
    """A score with all that it was made from; ``float(score)`` is its value.

    Parameters
    ----------
    name
        Name of the metric.
    value
        Mean over the factors that have a score, NaN if none has; for a metric that scores dimensions, such as
        modularity, the weighted mean over dimensions.
    per_factor
        (factors,) score of each factor, NaN where it is undefined (fewer than two cells or values).
    matrix
        (dimensions, factors) score of each pair, higher is better. Rows are the columns of ``Z`` if it was a
        DataFrame, else positions from 0.
    best_dimension
        (factors,) row of ``matrix`` that serves the factor best, the first of equal ones; None where no
        dimension tells anything.
    n_cells
        (factors,) labelled cells used.
    n_missing
        (factors,) cells without a label, left out.
    details
        (factors, columns) further numbers of this metric, such as the entropy of the factor.
    params
        Settings, seed included.
    per_dimension
        (dimensions, columns) numbers of each dimension; empty for a metric that scores factors only. A
        dimension leans to one factor, ``best_factor``: of two with the same values the first column gets it,
        and the second may be left with a score of 0.
    summary
        Further scores of the whole latent, such as the completeness beside the disentanglement.
    """

    name: str
    value: float
    per_factor: pd.Series
    matrix: pd.DataFrame
    best_dimension: pd.Series
    n_cells: pd.Series
    n_missing: pd.Series
    details: pd.DataFrame
    params: dict[str, Any] = field(default_factory=dict)
    per_dimension: pd.DataFrame = field(default_factory=pd.DataFrame)
    summary: dict[str, float] = field(default_factory=dict)

    @property
    def n_factors_used(self) -> int:
        """Factors that have a score and count in ``value``."""
        return int(self.per_factor.notna().sum())

    def __float__(self) -> float:
        return self.value
