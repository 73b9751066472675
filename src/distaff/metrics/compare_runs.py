"""Scores of several runs a setting against a baseline."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, ttest_ind_from_stats

from distaff._checks import check_flag, check_hashable, error, is_hashable, listing, name_list
from distaff.metrics._contract import warn

__all__ = ["compare_runs"]

MIN_RUNS = 2  # a single run has no variance
ROUNDING = 1e-12  # share of the largest score below which two scores are equal


def compare_runs(
    runs: pd.DataFrame,
    *,
    setting: Hashable,
    baseline: Any,
    scores: Sequence[Hashable] | None = None,
    equal_variances: bool = False,
) -> pd.DataFrame:
    """Test whether settings score otherwise than a baseline, over runs with different seeds.

    Each score of each setting is compared with the baseline by a two-sided t-test: Welch's, or Student's with
    ``equal_variances``. The q-values control the false discovery rate over all tests of the table
    (Benjamini and Hochberg). Runs on the same cells differ by their seeds only: the test says nothing about
    other cells or donors.

    Parameters
    ----------
    runs
        One row a run: a column with the setting, and one column a score or factor.
    setting
        Name of the column with the setting.
    baseline
        Value of that column to compare with.
    scores
        Columns to compare; None for all but ``setting``. Name them if there are others, such as a seed.
    equal_variances
        Pool the variances of setting and baseline.

    Returns
    -------
    DataFrame, one row a setting and score in the order of ``runs``: ``setting``, ``score``, ``n`` runs,
    ``mean``, ``sd``, ``difference`` from the mean of the baseline, ``t``, ``p``, ``q``. The last three are
    NaN for the baseline itself, and, with a warning, where neither its runs nor those of the setting vary by
    more than rounding.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If the baseline is missing, a setting has a single run, or a value is missing or infinite.
    TypeError
        If a score does not hold numbers.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`; Benjamini and Hochberg (1995), :cite:p:`Benjamini95`.

    Examples
    --------
    >>> import pandas as pd
    >>> from distaff.metrics import compare_runs
    >>> runs = pd.DataFrame({"beta": [1, 1, 1, 10, 10, 10], "mig": [0.2, 0.22, 0.21, 0.5, 0.48, 0.52]})
    >>> table = compare_runs(runs, setting="beta", baseline=1).set_index("setting")
    >>> round(float(table.loc[10, "difference"]), 2), bool(table.loc[10, "q"] < 0.05)
    (0.29, True)
    """
    check_flag("equal_variances", equal_variances)
    columns = _check(runs, setting, scores)
    values = {
        name: part[columns].to_numpy(dtype=np.float64)
        for name, part in runs.groupby(setting, sort=False, observed=True)
    }
    few = [name for name, part in values.items() if len(part) < MIN_RUNS]
    if few:
        raise error(
            f"Each setting must have at least {MIN_RUNS} runs",
            got=f"a single one for {listing(few)}",
            fix="Train with more seeds.",
        )
    if not is_hashable(baseline) or baseline not in values:
        raise error(
            f"baseline must be a value of column {setting!r}",
            got=repr(baseline),
            fix=f"The settings are {listing(values)}.",
        )
    reference = values[baseline]
    tables = []
    for name, part in values.items():
        table = pd.DataFrame({"setting": [name] * len(columns), "score": columns, "n": len(part)})
        table["mean"], table["sd"] = part.mean(axis=0), part.std(axis=0, ddof=1)
        table["difference"] = table["mean"] - reference.mean(axis=0)
        same = name == baseline
        table["t"], table["p"] = (
            (np.nan, np.nan)
            if same
            else _test(name, part, reference, columns, equal_variances=equal_variances)
        )
        tables.append(table)
    result = pd.concat(tables, ignore_index=True)
    tested = result["p"].notna()
    result["q"] = np.nan
    if tested.any():
        result.loc[tested, "q"] = false_discovery_control(result.loc[tested, "p"], method="bh")
    return result


def _check(runs: Any, setting: Hashable, scores: Sequence[Hashable] | None) -> list[Hashable]:
    """Return the columns to compare."""
    if not isinstance(runs, pd.DataFrame):
        raise error("runs must be a DataFrame, a row a run", got=type(runs).__name__, kind=TypeError)
    columns = [name for name in runs if name != setting] if scores is None else name_list("scores", scores)
    missing = [name for name in [setting, *columns] if not is_hashable(name) or name not in runs]
    if missing:
        raise error(
            "setting and scores must name columns of runs",
            got=listing(missing),
            fix=f"The columns are {listing(runs.columns) or 'none'}.",
            kind=KeyError,
        )
    if not columns:
        raise error("runs must have at least one column of scores", got="none")
    check_hashable(runs[setting], f"Column {setting!r}")
    if runs[setting].isna().any():
        raise error(
            f"Column {setting!r} must name a setting for each run",
            got=f"{int(runs[setting].isna().sum())} missing",
        )
    for name in columns:
        column = runs[name]
        if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
            raise error(
                f"Score {name!r} must hold numbers",
                got=f"dtype {column.dtype}",
                fix="Name the columns to compare in scores.",
                kind=TypeError,
            )
        bad = ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise error(
                f"Score {name!r} must be finite in each run",
                got=f"{column.iloc[row]} in row {runs.index[row]}",
                fix="Drop the factor, or the runs that lack it.",
            )
    return columns


def _test(
    name: Hashable,
    values: NDArray[np.float64],
    reference: NDArray[np.float64],
    columns: list[Hashable],
    *,
    equal_variances: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Statistics and p-values (scores,), NaN where no run varies."""
    t, p = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
    varies = _varies(values) | _varies(reference)
    if varies.any():
        moments = [
            (part.mean(axis=0), part.std(axis=0, ddof=1), len(part))
            for part in (values[:, varies], reference[:, varies])
        ]
        t[varies], p[varies] = ttest_ind_from_stats(*moments[0], *moments[1], equal_var=equal_variances)
    if not varies.all():
        same = [column for column, v in zip(columns, varies, strict=True) if not v]
        warn(
            f"No test of {name!r} for {listing(same)} (NaN): neither its runs nor those of the baseline vary."
        )
    return t, p


def _varies(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(scores,) whether the runs differ by more than rounding."""
    return np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(axis=0)
