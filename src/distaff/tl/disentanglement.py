"""Scores of how well single dimensions of a latent stand for known factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distaff._checks import check_column_names, check_flag, check_int, check_n_jobs, check_seed, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.metrics import Assessment
from distaff.metrics._contract import warn
from distaff.metrics._factors import parse_factors
from distaff.tl._factors import gather, source_table
from distaff.tl._representation import factor_table, representation, store
from distaff.tl._score_tables import dependence_tables, latent_tables, reference_tables, score_tables
from distaff.tl._scoring import METRICS, Plan, choose, run_metrics, said_once

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["disentanglement"]

DEFAULT = [name for name, metric in METRICS.items() if metric.default]
FAST = [name for name, metric in METRICS.items() if not metric.slow]
EVERY = list(METRICS)


def disentanglement(
    adata: AnnData,
    factors: str | Sequence[str],
    *,
    key: str = DEFAULT_KEY,
    metrics: str | Sequence[str] | None = None,
    use_rep: str | None = None,
    kinds: Mapping[str, str] | str | None = None,
    active_only: bool = True,
    references: str | Sequence[str] | None = "fast",
    n_random: int = 3,
    n_permutations: int = 0,
    n_bootstrap: int = 0,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Score how well single dimensions of the latent stand for known factors.

    Dimensions that the model does not use still carry a trace of the data that a rank would read. Where
    ``uns["{key}"]["factors"]`` tells which ones are ``active``, the others count as constant.

    A score means little without what chance and the truth would get: the best of many useless dimensions
    lies above chance, and factors that overlap or exclude each other keep a gap below 1. Both stand beside
    the scores, see :func:`distaff.metrics.assess`.

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
        Names of metrics of :mod:`distaff.metrics`, or "all". None for "max_spearman",
        "single_dimension_accuracy" and "spn" (of classes only), "mig", "smi", "lms" and "msgs" (of SMI),
        "sap", "modularity" and "irs"; "all" adds "msas" (by factor the same as "smi"), "dci", "infomec",
        "explicitness", "beta_vae_score" and "factor_vae_score". 10,000 cells, 32 dimensions and 20 factors
        take about 25 s for "dci" and 14 s for "single_dimension_accuracy", 1 s for each of the other four
        last ones, and 0.2 s for each of the rest. With a single factor "modularity", "dci", "infomec" and
        both VAE scores are 1 for every latent that knows it at all; they are left out unless you name them.
    use_rep
        Slot of ``obsm`` to score, of any origin; None for ``X_{key}``.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.
    active_only
        Leave out the dimensions that the model does not use.
    references
        Which of the metrics are scored on other data too, see below: names, "all", "fast" for those that
        take 0.2 s above, None for none. Each draw takes as long as the score itself, the ceiling one or two
        times as long.
    n_random
        Random latents for the noise floor.
    n_permutations
        Shuffles of the labels for p-values; 0 for none.
    n_bootstrap
        Halves of the cells for 95 % intervals, a hundred at least; 0 for none.
    n_jobs
        Threads; each takes a draw, or a factor of a slow metric.
    random_state
        Seed of all that is drawn.
    progress
        Show progress bars.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["disentanglement"]``:

    - ``"scores"``: DataFrame (factors, metrics); NaN where a metric does not apply. A factor with more than
      two classes has a row of its own and one a class, "factor: class". A "/" in a name becomes "_".
    - ``"noise"``, ``"ceiling"``, ``"p_value"``, ``"lower"``, ``"upper"``: the same for the score of random
      latents, of the factors themselves, the p-value and the interval; those that were computed
    - ``"means"``: DataFrame (metrics, columns) of the same for the score as a whole
    - ``"best_dimension"``: DataFrame (factors, metrics) of dimension names, "" for none. Dimensions are
      called as the rows of ``uns["{key}"]["factors"]``, else "Factor 1", "Factor 2", ...
    - ``"matrices"``: for each metric a DataFrame (dimensions, factors); the aggregations read that of "smi"
    - ``"details"``: for each metric that has more to say of factors a DataFrame (factors, columns), such as
      the completeness of "dci"
    - ``"dimensions"``: for "modularity", "irs", "dci" and "infomec" a DataFrame (dimensions, columns): score,
      weight in the mean, factor that the dimension leans to
    - ``"summary"``: mean of each metric over the factors that have a score, or over dimensions; further
      scores of the whole latent as "metric_name", such as "dci_completeness"
    - ``"latent"``: independence of the dimensions of each other, from
      :func:`~distaff.metrics.total_correlation` (nats) and :func:`~distaff.metrics.factor_correlation`;
      ``"latent_correlation"``: DataFrame (dimensions, dimensions) of those that vary
    - ``"dependence"``: DataFrame (factors, factors), the share of the column's uncertainty that the row takes
      away, by which gaps such as MIG are capped; see :func:`~distaff.metrics.factor_dependence`
    - ``"factors"``: DataFrame (factors, ...): full name (``label``), source, class, kind, cells used and
      missing, the largest ``dependence`` and the factor behind it (``depends_on``)
    - ``"params"``: representation, seed, numbers of draws and of dimensions left out, settings of each metric

    Raises
    ------
    KeyError
        If a factor or the representation is missing.
    ValueError
        If the representation is not finite, a metric is not known, the kind of a factor is not clear, or a
        factor or dimension has a name that no file can hold ("_index").

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
    >>> bool(result["noise"].loc["condition", "mig"] < 0.1), float(result["ceiling"].loc["condition", "mig"])
    (True, 1.0)
    """
    check_flag("progress", progress)
    check_flag("copy", copy)
    check_flag("active_only", active_only)
    draws = {"n_random": n_random, "n_permutations": n_permutations, "n_bootstrap": n_bootstrap}
    names = choose("metrics", DEFAULT if metrics is None else metrics, {"all": EVERY})
    if not names:
        raise error("metrics must name at least one metric", got="none")
    groups = {"all": EVERY, "fast": FAST}
    plan = Plan(
        names=names,
        asked=metrics is not None and metrics != "all",
        referenced=[] if references is None else choose("references", references, groups),
        draws={option: check_int(option, n, minimum=0) for option, n in draws.items()},
        n_jobs=check_n_jobs(n_jobs),
        random_state=check_seed("random_state", random_state),
        progress=progress,
    )
    Z, rep = representation(adata, key=key, use_rep=use_rep)
    inactive = _inactive(adata, key, Z) if active_only and use_rep is None else []
    Z[inactive] = 0.0
    Y, sources = gather(adata, factors)
    for subject, names in {"factors": Y.columns, "dimensions": Z.columns}.items():
        check_column_names(f"Names of {subject}", names, fix="Rename those first.")
    parsed = parse_factors(Y, len(Z), kinds)
    declared = {factor.name: factor.kind for factor in parsed}
    with said_once():
        results, assessed = run_metrics(Z, Y, declared, plan)

    tables = score_tables(results, source_table(parsed, sources))
    tables |= reference_tables(results, assessed, source_table(parsed, sources))
    tables |= dependence_tables(Y, declared, tables["factors"])
    tables |= latent_tables(Z)
    params = {
        "use_rep": rep,
        "n_cells": adata.n_obs,
        "n_dimensions": Z.shape[1],
        "n_inactive": len(inactive),
        "metrics": {name: result.params for name, result in results.items()},
        **_settings(plan, assessed),
    }
    adata = adata.copy() if copy else adata
    store(adata, key, Slots.disentanglement, {**tables, "params": params})
    return adata if copy else None


def _inactive(adata: AnnData, key: str, Z: pd.DataFrame) -> list[str]:
    """Dimensions that the model's own table calls inactive."""
    table = factor_table(adata, Slots(key))
    if table is None or "active" not in table or list(table.index.astype(str)) != list(Z.columns):
        return []
    active = table["active"].to_numpy(dtype=bool)
    if not active.any():
        warn(
            f"The model uses none of the dimensions of {Slots(key).latent}, so that all score nothing: it "
            "may need more training or a smaller beta. Pass active_only=False to score them as they are."
        )
    return list(Z.columns[~active])


def _settings(plan: Plan, assessed: Mapping[str, Assessment]) -> dict[str, Any]:
    """Seed, numbers of draws, and the form of the factors that set each ceiling."""
    truth = {name: found.params["truth"] for name, found in assessed.items()}
    return {"random_state": plan.random_state, **(plan.draws if assessed else {}), "truth": truth}
