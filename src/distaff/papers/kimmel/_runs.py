"""Results of the trials as tables of runs, and tests between settings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pandas as pd
from scipy.stats import ttest_ind_from_stats

import distaff as ds
from distaff.papers._trials import Outcome

__all__ = ["by_program", "by_type", "compared", "p_value", "runs"]

SETTINGS = ("data", "capacity", "beta", "seed")


def runs(outcome: Outcome, data: str) -> pd.DataFrame:
    """One row a run: settings, numbers of the whole latent, means over programs and over cell types."""
    rows = []
    for result in outcome.find(data=data):
        values = result.values
        row = {name: result.trial.settings[name] for name in SETTINGS}
        row |= {name: values[name] for name in ("n_active", "kl", "specificity", "ari")}
        row |= {name: _mean(values[name]) for name in ("spearman", "spearman_active", "accuracy")}
        rows.append(row)
    names = [*SETTINGS, "n_active", "kl", "specificity", "ari", "spearman", "spearman_active", "accuracy"]
    return pd.DataFrame(rows, columns=names)


def by_program(outcome: Outcome, data: str) -> pd.DataFrame:
    """One row a run, one column a program: its best correlation."""
    return _spread(outcome, data, "spearman")


def by_type(outcome: Outcome, data: str) -> pd.DataFrame:
    """One row a run, one column a cell type: its best accuracy."""
    return _spread(outcome, data, "accuracy")


def compared(wide: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Each beta against beta = 1 by Student's t test, q-values over all tests of a capacity."""
    tables = []
    for capacity, part in wide.groupby("capacity"):
        sizes = part["beta"].value_counts()
        part = part[part["beta"].isin(sizes.index[sizes > 1])]
        if (part["beta"] == 1).any() and part["beta"].nunique() > 1:
            with warnings.catch_warnings():  # where no run varies there is no test: the table leaves it empty
                warnings.simplefilter("ignore", UserWarning)
                table = ds.metrics.compare_runs(
                    part, setting="beta", baseline=1, scores=scores, equal_variances=True
                )
            tables.append(table.rename(columns={"setting": "beta"}).assign(capacity=capacity))
    columns = ["capacity", "beta", "score", "n", "mean", "sd", "difference", "p", "q"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def p_value(one: pd.Series, two: pd.Series) -> float:
    """Student's t test of two settings; NaN with fewer than two runs of either, or where none vary."""
    if min(len(one), len(two)) < 2 or max(one.std(), two.std()) == 0:
        return float("nan")
    stats = [number for runs in (one, two) for number in (runs.mean(), runs.std(), len(runs))]
    return float(ttest_ind_from_stats(*stats).pvalue)


def _mean(values: dict[str, float]) -> float:
    return float(pd.Series(values, dtype=float).mean())


def _spread(outcome: Outcome, data: str, score: str) -> pd.DataFrame:
    rows = [
        {**{name: result.trial.settings[name] for name in SETTINGS}, **result.values[score]}
        for result in outcome.find(data=data)
    ]
    return pd.DataFrame(rows, columns=None if rows else list(SETTINGS))
