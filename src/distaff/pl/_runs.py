"""Runs with different settings and seeds: which are one setting, their mean and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t

from distaff._checks import check_adata, check_choice, check_name, error, listing, name_list
from distaff._runs import runs_table
from distaff.pl._read import METRIC_LABELS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["MAX_LEVELS", "SCORE_LABELS", "intervals", "read_runs", "scores_of"]

SETTINGS = ("beta", "capacity")
SCORE_LABELS = {**METRIC_LABELS, "ari": "ARI", "nmi": "NMI"}
CONFIDENCE = 0.95
MAX_LEVELS = 12  # eight colours with two markers; more lines hide each other


def read_runs(
    data: AnnData | pd.DataFrame, *, keys: Sequence[str] | None, x: str, hue: str | None
) -> tuple[pd.DataFrame, str | None]:
    """Runs that have a value of ``x`` and ``hue``, and the column that tells lines apart."""
    check_choice("x", x, SETTINGS)
    if hue is not None:
        check_name("hue", hue)
    if isinstance(data, pd.DataFrame):
        if keys is not None:
            raise error("keys must be None for a table of runs", got=repr(keys))
        runs = data
    else:
        check_adata(data, name="data")
        runs = runs_table(data, keys, by_factor=hue == "factor")
    _check_column(runs, x, "x")
    other = SETTINGS[1 - SETTINGS.index(x)]
    if hue is None and other in runs and runs[other].nunique() > 1:
        hue = other
    if hue is not None:
        _check_column(runs, hue, "hue")
    if not pd.api.types.is_numeric_dtype(runs[x].dtype):
        raise error(f"Column {x!r} must hold numbers", got=runs[x].dtype, kind=TypeError)
    settings = [x] if hue is None else [x, hue]
    runs = runs.dropna(subset=settings)
    if runs.empty:
        raise error(f"At least one run must have {' and '.join(settings)}", got="none")
    if hue is not None and runs[hue].nunique() > MAX_LEVELS:
        raise error(
            f"hue must have at most {MAX_LEVELS} values",
            got=runs[hue].nunique(),
            fix="Pass a part of the table, such as the factors that matter.",
        )
    _check_runs(runs, settings)
    return runs, hue


def _check_column(runs: pd.DataFrame, column: str, argument: str) -> None:
    if column not in runs:
        raise error(
            f"{argument} must name a column of the runs",
            got=repr(column),
            fix=f"The columns are {listing(runs.columns)}. distaff.tl.latent writes the settings of a model.",
            kind=KeyError,
        )


def _check_runs(runs: pd.DataFrame, settings: list[str]) -> None:
    """Two runs of one setting and seed differ by something else, which no interval over seeds is about."""
    found = [name for name in ("seed",) if name in runs]
    known = runs.dropna(subset=found)
    twice = known[known.duplicated([*settings, *found])] if found else known.iloc[:0]
    if len(twice):
        what = ", ".join(f"{name}={twice.iloc[0][name]}" for name in [*settings, *found])
        varying = [name for name in runs if name not in (*settings, "seed", "key", *SCORE_LABELS)]
        varying = [name for name in varying if runs[name].nunique() > 1]
        raise error(
            "Runs of one setting must differ in their seed",
            got=f"several with {what}",
            fix=f"Name what differs as hue, or pass a part of the table; these vary: {listing(varying)}."
            if varying
            else "Pass each run once.",
        )


def scores_of(runs: pd.DataFrame, scores: str | Sequence[str] | None) -> list[str]:
    """Columns to draw: those named, or all that are known as scores."""
    if scores is None:
        known = [name for name in runs if name in SCORE_LABELS and runs[name].notna().any()]
        if known:
            return known
        raise error(
            "The runs must have a column named as a metric",
            got=listing(runs.columns),
            fix="Name the columns to draw as scores.",
        )
    names = name_list("scores", scores)
    for name in names:
        _check_column(runs, name, "scores")
        if not pd.api.types.is_numeric_dtype(runs[name].dtype):
            raise error(f"Column {name!r} must hold numbers", got=runs[name].dtype, kind=TypeError)
    return names


def intervals(runs: pd.DataFrame, x: str, score: str) -> pd.DataFrame:
    """Mean of each value of ``x``, and half the width of the interval; NaN for a single run.

    The interval is that of Student's t: it covers the mean over all seeds at 95 % if scores are normal.
    """
    table = runs.dropna(subset=[score]).groupby(x)[score].agg(["mean", "std", "count"])
    quantile = t.ppf((1 + CONFIDENCE) / 2, np.maximum(table["count"] - 1, 1))
    return pd.DataFrame({"mean": table["mean"], "half": quantile * table["std"] / np.sqrt(table["count"])})
