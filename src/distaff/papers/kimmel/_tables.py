"""Scores by beta and capacity."""

from __future__ import annotations

import pandas as pd

from distaff.papers._table import Table
from distaff.papers._trials import Outcome

__all__ = ["tables"]


def tables(outcome: Outcome) -> list[Table]:
    """Tables of the study."""
    return [_by_setting(outcome)]


def _by_setting(outcome: Outcome) -> Table:
    """Means over seeds."""
    runs = pd.DataFrame(
        [
            {
                **{name: result.trial.settings[name] for name in ("data", "capacity", "beta")},
                "active dimensions": result.values["n_active"],
                "max |Spearman|": pd.Series(result.values["spearman"], dtype=float).mean(),
                "ARI of clusters": result.values["ari"],
            }
            for result in outcome.results
        ]
    )
    means = runs.groupby(["data", "capacity", "beta"], as_index=False).mean()
    return Table("scores", "Scores by beta and capacity, means over seeds", means)
