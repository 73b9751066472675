"""Factors that differ between groups of cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from distaff._checks import check_choice, check_flag, check_int, check_obs_column, error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.metrics._contract import constant_columns
from distaff.tl._group_test import Contrast, compare, probability_larger
from distaff.tl._representation import inactive_factors, representation, store

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["rank_factors"]

REST = "rest"
TESTED = ("effect", "lower", "upper", "statistic", "p_value", "log_bayes_factor")


def rank_factors(
    adata: AnnData,
    groupby: str,
    *,
    reference: str = REST,
    sample_key: str | None = None,
    min_cells: int = 10,
    key: str = DEFAULT_KEY,
    use_rep: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    r"""Test which factors differ between groups of cells.

    Cells of one donor are alike, so that a test that counts each as a replicate finds differences between
    any two sets of donors :cite:p:`Squair21`. With ``sample_key`` the replicates are means of each sample
    over its cells, and the test is calibrated; samples with few cells are left out. Without it the replicates
    are cells, and the p-values hold for these samples only.

    Samples with cells on both sides are pairs. With two of them or more the test is one of their differences
    ("paired"), joined by Welch's for the other samples if there are two or more on each side ("mixed"
    :cite:p:`Derrick17`), else the other samples are left out of it. With fewer pairs it is Welch's of all
    samples ("welch"), for which one on both sides counts as two. Where a side has fewer than ten samples
    besides the pairs, Welch's test must be confirmed by Student's: with two or three beside many it finds too
    much by itself.

    The effect size is the difference of the means over the standard deviation of the cells within the two
    sides. The Bayes factor is that of expiMap :cite:p:`Lotfollahi23`, :math:`\log p / (1 - p)` in nats with
    the probability :math:`p` that a random cell of the group has a larger value than one of the others, here
    exact by ranks over all pairs. With :math:`n` cells in the smaller side, :math:`p` is kept half a cell,
    :math:`1 / 2n`, away from 0 and 1.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    groupby
        Column of ``obs`` with the groups; cells without one are left out.
    reference
        Group to compare the others with; ``"rest"`` for all cells outside of each group.
    sample_key
        Column of ``obs`` with the sample (donor, mouse, replicate) of each cell; cells without are left out.
    min_cells
        Cells that a sample must have in a group, or in what it is compared with, to be a replicate of it.
    key
        Prefix of the slots.
    use_rep
        Slot of ``obsm`` with the factors; None for ``X_{key}``.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["rank_factors"]``:

    - ``"table"``: DataFrame, one row a group and factor, the smallest p-value of a group first: ``group``,
      ``factor``, ``effect`` with its 95 % interval ``lower`` and ``upper``, ``statistic`` (t), ``p_value``,
      ``q_value`` (Benjamini and Hochberg :cite:p:`Benjamini95`, over the whole table), ``log_bayes_factor``
      (nats), ``mean`` and ``mean_reference`` of all replicates, ``positive``, ``positive_reference``,
      the shares of cells with a value above 0, and above the lowest of all cells: the floor of a
      non-negative factor, below which none is reported
    - ``"groups"``: DataFrame (groups, columns): ``n_cells``, ``n_cells_reference``, ``n_samples``,
      ``n_samples_reference`` and ``n_pairs`` (0 without ``sample_key``; samples with too few cells do not
      count), ``test`` ("paired", "mixed", "welch", "none")
    - ``"params"``: arguments, number of cells left out

    Factors that do not vary, and those that ``uns["{key}"]["factors"]`` says are not active, are not tested:
    NaN. So is a difference between sides without any variation within.

    Warns
    -----
    UserWarning
        If a group or what it is compared with has fewer than two replicates: there is no test of it.

    Raises
    ------
    KeyError
        If a column or the representation is missing.
    ValueError
        If there are fewer than two groups, no such reference, or values that are no groups.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> adata = anndata.AnnData(obs={"condition": np.tile(["control", "treated"], 60)})
    >>> adata.obs["donor"] = np.repeat(["a", "b", "c"], 40)
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(120, 3))
    >>> adata.obsm["X_distaff"][1::2, 1] += 2
    >>> tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
    >>> adata.uns["distaff"]["rank_factors"]["table"][["group", "factor"]].iloc[0].tolist()
    ['treated', 'Factor 2']
    """
    check_flag("copy", copy)
    min_cells = check_int("min_cells", min_cells, minimum=1)
    Z, rep = representation(adata, key=key, use_rep=use_rep)
    groups = _labels(adata, groupby, "groupby")
    samples = None if sample_key is None else _labels(adata, sample_key, "sample_key")
    used = groups.notna().to_numpy() & (True if samples is None else samples.notna().to_numpy())
    groups, samples = groups[used], None if samples is None else samples[used]
    names = _groups_to_test(groups, groupby, reference)
    values = Z.to_numpy()[used]
    skipped, off = constant_columns(values), values.min(axis=0).clip(min=0)
    if use_rep is None:
        skipped |= inactive_factors(adata, key, Z.shape[1])
    tables, rows = [], {}
    for name in names:
        inside = (groups == name).to_numpy()
        outside = ~inside if reference == REST else (groups == reference).to_numpy()
        contrast = Contrast.of(values, inside, outside, samples, min_cells)
        table = _table(name, Z.columns, values[inside], values[outside], contrast, off)
        table.loc[skipped, list(TESTED)] = np.nan
        tables.append(table.sort_values("p_value", kind="stable", na_position="last"))
        rows[name] = _describe(inside, outside, contrast, samples)
    described = pd.DataFrame.from_dict(rows, orient="index")
    _warn(described, "cells" if samples is None else f"samples of {min_cells} cells")
    adata = adata.copy() if copy else adata
    params = {"groupby": groupby, "reference": reference, "use_rep": rep, "n_missing": int((~used).sum())}
    if sample_key is not None:
        params |= {"sample_key": sample_key, "min_cells": min_cells}
    store(adata, key, Slots.rank_factors, {"table": _joined(tables), "groups": described, "params": params})
    return adata if copy else None


def _labels(adata: AnnData, column: str, argument: str) -> pd.Series:
    """Names of groups as strings, None where missing."""
    labels = check_obs_column(adata, column, name=argument)
    present = labels.notna()
    if labels.dtype.kind == "f" and (labels[present] % 1 != 0).any():
        got = f"numbers that are not whole in adata.obs[{column!r}]"
        raise error(f"{argument} must name a column with groups", got=got, fix="Cut it into bins first.")
    return labels.astype(str).astype(object).where(present, None)


def _groups_to_test(groups: pd.Series, groupby: str, reference: str) -> list[str]:
    """Groups in order, without the reference."""
    names = sorted(groups.unique())
    if len(names) < 2:
        got = f"{listing(names) or 'none'} in the cells used"
        raise error(f"adata.obs[{groupby!r}] must have two groups or more", got=got)
    if REST in names:
        raise error(
            f"No group of adata.obs[{groupby!r}] may be called {REST!r}",
            got="one",
            fix="Rename it: as a reference that name stands for all other cells.",
        )
    check_choice("reference", reference, [REST, *names])
    return [name for name in names if name != reference]


def _table(
    name: str,
    factors: pd.Index,
    group: NDArray[np.float64],
    reference: NDArray[np.float64],
    contrast: Contrast,
    off: NDArray[np.float64],
) -> pd.DataFrame:
    """Results of one group, one row a factor."""
    table = pd.DataFrame({"group": name, "factor": factors.astype(str)})
    for column in TESTED[:-1]:
        table[column] = np.nan
    if contrast.test != "none":
        test, spread = compare(contrast), _spread(group, reference)
        for column, values in (("effect", test.difference), ("lower", test.lower), ("upper", test.upper)):
            # no variation within the sides: neither a test nor a scale
            table[column] = np.divide(values, spread, out=np.full(len(spread), np.nan), where=spread > 0)
        table.loc[np.isnan(test.statistic), "effect"] = np.nan
        table["statistic"], table["p_value"] = test.statistic, test.p_value
    limit = 0.5 / min(len(group), len(reference))
    p = probability_larger(group, reference).clip(limit, 1 - limit)
    table["log_bayes_factor"] = np.log(p / (1 - p))
    for column, side in (("mean", contrast.group), ("mean_reference", contrast.reference)):
        table[column] = side.mean(axis=0) if len(side) else np.nan
    for column, cells in (("positive", group), ("positive_reference", reference)):
        table[column] = (cells > off).mean(axis=0)
    return table


def _spread(group: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pooled standard deviation of the cells within the two sides, shape (factors,)."""
    squares = sum(((side - side.mean(axis=0)) ** 2).sum(axis=0) for side in (group, reference))
    return np.sqrt(squares / max(len(group) + len(reference) - 2, 1))


def _describe(
    inside: NDArray[np.bool_], outside: NDArray[np.bool_], contrast: Contrast, samples: pd.Series | None
) -> dict[str, int | str]:
    counted = samples is not None
    return {
        "n_cells": int(inside.sum()),
        "n_cells_reference": int(outside.sum()),
        "n_samples": len(contrast.group) if counted else 0,
        "n_samples_reference": len(contrast.reference) if counted else 0,
        "n_pairs": contrast.n_pairs,
        "test": contrast.test,
    }


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """All groups in one table with q-values, index of strings as files want it."""
    table = pd.concat(tables, ignore_index=True)
    q = np.full(len(table), np.nan)
    tested = table["p_value"].notna().to_numpy()
    if tested.any():
        q[tested] = false_discovery_control(table["p_value"][tested])
    table.insert(table.columns.get_loc("p_value") + 1, "q_value", q)
    return table.set_axis(table.index.astype(str))


def _warn(described: pd.DataFrame, replicates: str) -> None:
    lacking = described.index[described["test"] == "none"]
    if len(lacking):
        message = error(
            f"A test must have two {replicates} or more in the group and in its reference",
            got=f"fewer for {listing(lacking)}",
            fix="Their p-values are NaN.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=3)
