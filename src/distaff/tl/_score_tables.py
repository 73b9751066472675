"""Scores as tables that any file format takes: floats, strings, and names without "/"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from distaff import metrics as scores
from distaff.metrics import Assessment, Score
from distaff.tl._factors import safe_names
from distaff.tl._scoring import METRICS

__all__ = ["dependence_tables", "latent_tables", "reference_tables", "score_tables"]

REFERENCES = ("noise", "ceiling", "p_value", "lower", "upper")


def score_tables(results: Mapping[str, Score], factors: pd.DataFrame) -> dict[str, Any]:
    """Scores, best dimensions, matrices, details, scores of dimensions and means; ``factors`` as sources."""
    safe = _safe(results, factors)
    seen = list(safe)
    values = {name: result.per_factor for name, result in results.items()}
    best = pd.DataFrame({name: result.best_dimension for name, result in results.items()}, index=seen)
    details = {name: result.details.drop(columns="kind", errors="ignore") for name, result in results.items()}
    dimensions = {name: result.per_dimension for name, result in results.items()}
    return {
        "scores": pd.DataFrame(values, index=seen, dtype=float).rename(index=safe),
        "best_dimension": best.where(best.notna(), "").astype(str).rename(index=safe),
        "matrices": {
            METRICS[name].matrix_of or name: result.matrix.rename(columns=safe).rename_axis(columns=None)
            for name, result in results.items()
        },
        "details": {
            name: table.rename(index=safe).rename_axis(index=None)
            for name, table in details.items()
            if table.shape[1] and not METRICS[name].matrix_of
        },
        "dimensions": {
            name: table.assign(best_factor=[safe.get(best, "") for best in table["best_factor"]])
            for name, table in dimensions.items()
            if table.shape[1]
        },
        "summary": {
            **{name: result.value for name, result in results.items()},
            **{f"{name}_{k}": float(v) for name, r in results.items() for k, v in r.summary.items()},
        },
        "factors": factors.loc[seen].rename(index=safe),
    }


def reference_tables(
    results: Mapping[str, Score], references: Mapping[str, Assessment], factors: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """References beside the scores, each (factors, metrics), and "means" (metrics, columns)."""
    safe = _safe(results, factors)
    tables: dict[str, pd.DataFrame] = {}
    for column in REFERENCES:
        values = {
            name: references[name].per_factor[column] if name in references else np.nan for name in results
        }
        table = pd.DataFrame(values, index=list(safe), dtype=float).rename(index=safe)
        if table.notna().any(axis=None):
            tables[column] = table
    if tables:
        means = {name: found.mean[["score", *tables]] for name, found in references.items()}
        tables["means"] = pd.DataFrame(means).T.astype(float)
    return tables


def dependence_tables(Y: pd.DataFrame, kinds: Mapping[str, str], factors: pd.DataFrame) -> dict[str, Any]:
    """Dependence (factors, factors), and ``factors`` with the strongest of each."""
    table = scores.factor_dependence(Y, kinds=kinds)
    others = table.mask(np.eye(len(table), dtype=bool))
    strongest = others.fillna(-1.0).idxmax().where(others.notna().any(), "")
    labels = factors["label"]  # one class against the rest is no factor of the table
    named = factors.assign(
        dependence=others.max().reindex(labels).to_numpy(dtype=float),
        depends_on=strongest.reindex(labels).fillna("").to_numpy(dtype=object),
    )
    safe = safe_names(list(table))
    return {"dependence": table.rename(index=safe, columns=safe), "factors": named}


def latent_tables(Z: pd.DataFrame) -> dict[str, Any]:
    """How far the dimensions are independent of each other, whatever they stand for."""
    correlation = scores.factor_correlation(Z)
    total = scores.total_correlation(Z)
    safe = safe_names(list(correlation.correlation))
    return {
        "latent": {
            "total_correlation": total.value,
            "total_correlation_bias": total.bias,
            "wasserstein_share": float(total.wasserstein_share),
            "mean_correlation": correlation.value,
            "effective_dimensions": correlation.effective_dimensions,
            "n_varying": int(correlation.varies.sum()),
        },
        "latent_correlation": correlation.correlation.rename(columns=safe),
    }


def _safe(results: Mapping[str, Score], factors: pd.DataFrame) -> dict[str, str]:
    """Names of the rows that a metric has scored, and what they are called in files."""
    return safe_names(
        [name for name in factors.index if any(name in r.per_factor.index for r in results.values())]
    )
