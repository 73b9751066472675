"""Scores of how well single dimensions of a latent stand for known factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distaff import metrics as scores
from distaff._checks import check_choice, check_int, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.metrics._factors import parse_factors
from distaff.tl._factors import gather, safe_names, source_table
from distaff.tl._representation import factor_table, representation, store

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["METRICS", "disentanglement"]

METRICS = ("max_spearman", "single_dimension_accuracy", "mig", "smi", "lms")


def disentanglement(
    adata: AnnData,
    factors: str | Sequence[str],
    *,
    key: str = DEFAULT_KEY,
    metrics: str | Sequence[str] | None = None,
    use_rep: str | None = None,
    kinds: Mapping[str, str] | str | None = None,
    active_only: bool = True,
    n_jobs: int = 1,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Score how well single dimensions of the latent stand for known factors.

    Dimensions that the model does not use still carry a trace of the data that a rank would read. Where
    ``uns["{key}"]["factors"]`` tells which ones are ``active``, the others count as constant.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    factors
        Columns of ``obs``, and keys of ``obsm`` for tables of factors: categorical, binary or continuous.
        Cells without a label are left out, factor by factor.
    key
        Prefix of the slots.
    metrics
        Names of metrics: "max_spearman", "single_dimension_accuracy" (of classes only), "mig", "smi", "lms"
        (of SMI); None for all that apply. See :mod:`distaff.metrics`.
    use_rep
        Slot of ``obsm`` to score; None for ``X_{key}``.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.
    active_only
        Leave out the dimensions that the model does not use.
    n_jobs
        Threads of the single-dimension accuracy.
    random_state
        Seed of subsampling and cross-validation.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["disentanglement"]``:

    - ``"scores"``: DataFrame (factors, metrics); NaN where a metric does not apply. A factor with more than
    two
      classes has a row of its own and one a class, "factor: class". A "/" in a name becomes "_".
    - ``"best_dimension"``: DataFrame (factors, metrics) of dimension names, "" for none. Dimensions are
    called as
      the rows of ``uns["{key}"]["factors"]``, else "Factor 1", "Factor 2", ...
    - ``"matrices"``: for each metric but "lms" a DataFrame (dimensions, factors)
    - ``"summary"``: mean of each metric over the factors that have a score
    - ``"factors"``: DataFrame (factors, ...): full name (``label``), source, class, kind, cells used and
    missing - ``"params"``: representation, seed, number of dimensions left out, and settings of each metric

    Raises
    ------
    KeyError
        If a factor or the representation is missing.
    ValueError
        If the representation is not finite, or the kind of a factor is not clear.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> adata = anndata.AnnData(obs={"condition": np.repeat(["ctrl", "stim"], 200)})
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(400, 3))
    >>> adata.obsm["X_distaff"][:200, 1] += 20
    >>> tl.disentanglement(adata, "condition", metrics=["single_dimension_accuracy", "mig"])
    >>> result = adata.uns["distaff"]["disentanglement"]
    >>> float(result["scores"].loc["condition", "single_dimension_accuracy"])
    1.0
    >>> result["best_dimension"].loc["condition", "mig"]
    'Factor 2'
    """
    names = _metric_names(metrics)
    check_int("random_state", random_state, minimum=0)
    Z, rep = representation(adata, key=key, use_rep=use_rep)
    inactive = _inactive(adata, key, Z) if active_only and use_rep is None else []
    Z[inactive] = 0.0
    Y, sources = gather(adata, factors)
    parsed = parse_factors(Y, len(Z), kinds)
    declared = {factor.name: factor.kind for factor in parsed}
    results = _compute(
        Z, Y, declared, names, asked=metrics is not None, n_jobs=n_jobs, random_state=random_state
    )

    adata = adata.copy() if copy else adata
    params = {
        "use_rep": rep,
        "random_state": random_state,
        "n_cells": adata.n_obs,
        "n_dimensions": Z.shape[1],
        "n_inactive": len(inactive),
        "metrics": {name: result.params for name, result in results.items()},
    }
    store(
        adata,
        key,
        Slots.disentanglement,
        {**_tables(results, source_table(parsed, sources)), "params": params},
    )
    return adata if copy else None


def _metric_names(metrics: str | Sequence[str] | None) -> list[str]:
    if metrics is None:
        return list(METRICS)
    names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    if not names:
        raise error("metrics must name at least one metric", got="none")
    return [check_choice("metrics", name, METRICS) for name in names]


def _inactive(adata: AnnData, key: str, Z: pd.DataFrame) -> list[str]:
    """Dimensions that the model's own table calls inactive."""
    table = factor_table(adata, Slots(key))
    if table is None or "active" not in table or list(table.index.astype(str)) != list(Z.columns):
        return []
    return list(Z.columns[~table["active"].to_numpy(dtype=bool)])


def _compute(
    Z: pd.DataFrame,
    Y: pd.DataFrame,
    kinds: dict[str, Any],
    names: list[str],
    *,
    asked: bool,
    n_jobs: int,
    random_state: int,
) -> dict[str, scores.Score]:
    """Result of each metric; one that applies to no factor is left out unless the user asked for it."""
    results: dict[str, scores.Score] = {}
    smi = scores.smi(Z, Y, kinds=kinds) if {"smi", "lms"} & set(names) else None
    classes = [name for name in Y if kinds[name] != "continuous"]
    for name in names:
        if name == "max_spearman":
            results[name] = scores.max_spearman(Z, Y, kinds=kinds)
        elif name == "mig":
            results[name] = scores.mig(Z, Y, kinds=kinds)
        elif name == "smi" and smi is not None:
            results[name] = smi
        elif name == "lms" and smi is not None:
            results[name] = scores.lms(smi)
        elif classes or asked:
            columns = classes or list(Y)
            results[name] = scores.single_dimension_accuracy(
                Z, Y[columns], kinds={c: kinds[c] for c in columns}, n_jobs=n_jobs, random_state=random_state
            )
    return results


def _tables(results: dict[str, scores.Score], factors: pd.DataFrame) -> dict[str, Any]:
    """Tables that any file format takes: floats, strings, and names without "/"."""
    seen = [name for name in factors.index if any(name in result.per_factor for result in results.values())]
    safe = safe_names(seen)
    values = pd.DataFrame(
        {name: result.per_factor for name, result in results.items()}, index=seen, dtype=float
    )
    best = pd.DataFrame({name: result.best_dimension for name, result in results.items()}, index=seen)
    return {
        "scores": values.rename(index=safe),
        "best_dimension": best.where(best.notna(), "").astype(str).rename(index=safe),
        "matrices": {
            name: result.matrix.rename(columns=safe).rename_axis(columns=None)
            for name, result in results.items()
            if name != "lms"
        },
        "summary": {name: result.value for name, result in results.items()},
        "factors": factors.loc[seen].rename(index=safe),
    }
