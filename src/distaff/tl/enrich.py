"""Gene sets that the loadings of a factor are enriched in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import false_discovery_control

from distaff._checks import check_adata, check_choice, check_flag, check_int, check_name, error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._enrichment_tests import linear_test, moment_test, slopes
from distaff.tl._representation import factor_table, inactive_factors, store

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["enrich"]

METHODS = {"moments": moment_test, "ulm": linear_test}
MIN_TESTED = 3  # genes: with two there is nothing left to test with


def enrich(
    adata: AnnData,
    *,
    set_key: str = "gene_sets",
    key: str = DEFAULT_KEY,
    use_loadings: str | None = None,
    method: Literal["moments", "ulm"] = "moments",
    min_genes: int = 5,
    copy: bool = False,
) -> AnnData | None:
    """Test which gene sets have higher or lower loadings than the other genes, factor by factor.

    The score is the univariate linear model's of decoupler :cite:p:`Badia22`, the slope of the loadings over
    the weights of a set, positive if the set goes up with the factor. A constant in all loadings of a factor,
    which a softmax leaves free, does not change it. Loadings have heavy tails or many zeros, and the t test
    of that model, ``"ulm"``, then finds small sets that are not enriched. By default the p-value comes from
    permutations of the genes instead, after the largest loadings were cut: from their first three moments or,
    where these do not do, as for small sets and few loadings that are not 0, from random draws of genes
    (always the same ones). A sum that hardly any draw reaches gets a bound instead :cite:p:`Hoeffding63`.
    Permutations of sparse loadings often reach a z that would be rare for normal ones: among sets of
    different sizes, and factors, a larger statistic need not have the smaller p-value.

    Genes are the replicates: a p-value says that the set stands out from the other genes of this model.
    Genes of a set are correlated in cells, so it does not say that another experiment shows the same.

    Parameters
    ----------
    adata
        Annotated data with gene sets (:func:`distaff.pp.gene_sets`) and loadings
        (:func:`distaff.tl.loadings`).
    set_key
        Slot of ``varm`` with the weights (genes, sets), 0 for genes that are not in a set.
    key
        Prefix of the slots.
    use_loadings
        Slot of ``varm`` to test, a table (genes, factors); None for ``{key}_loadings``.
    method
        ``"moments"``: against permutations of the genes by the moments of the score :cite:p:`Larson15`, with
        the outer 5 % on each side of the loadings that differ from the median cut to that percentile;
        ``"ulm"``: t test.
    min_genes
        Genes that a set needs to be tested.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["enrich"]``:

    - ``"table"``: DataFrame, one row a factor and set, the largest statistic of a factor first: ``factor``,
      ``gene_set``, ``effect`` (slope of the loadings over the weights: without weights, the difference of
      the means inside and outside of the set), ``statistic`` (z, or t), ``p_value``, ``q_value``
      (Benjamini and Hochberg :cite:p:`Benjamini95`, over the whole table), ``n_genes``, ``same_as`` (the
      first set with the same genes and weights, if it is not this one: the two count as one test)
    - ``"params"``: arguments

    Genes without any loading (NaN) were not in the model and count as if they were not there. Sets with fewer
    genes, factors without any difference between genes, and those that
    ``uns["{key}"]["factors"]`` says are not active, are not tested: NaN. Sets within another one are tested
    like others; ``uns["{set_key}"]["coverage"]`` tells which they are.

    Raises
    ------
    KeyError
        If the gene sets or the loadings are missing.
    ValueError
        If weights or loadings are not finite, or there are fewer than three genes.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.ones((2, 100)))
    >>> loadings = np.random.default_rng(0).normal(size=(100, 2))
    >>> loadings[:10, 1] -= 3
    >>> adata.varm["distaff_loadings"] = pd.DataFrame(
    ...     loadings, index=adata.var_names, columns=["Factor 1", "Factor 2"]
    ... )
    >>> ds.pp.gene_sets(adata, {"A": adata.var_names[:10], "B": adata.var_names[50:60]}, min_genes=5)
    >>> ds.tl.enrich(adata)
    >>> table = adata.uns["distaff"]["enrich"]["table"]
    >>> table.loc[table["q_value"] < 0.01, ["factor", "gene_set"]].to_numpy().tolist()
    [['Factor 2', 'A']]
    >>> bool((table["statistic"] < 0)[table["q_value"] < 0.01].all())
    True
    """
    check_flag("copy", copy)
    check_adata(adata)
    check_choice("method", method, METHODS)
    check_int("min_genes", min_genes, minimum=1)
    slot = Slots(key).loadings if use_loadings is None else use_loadings
    loadings = _read(adata, slot, "use_loadings", "Run tl.loadings first, or name another", "Factor")
    known = factor_table(adata, Slots(key))
    named = isinstance(adata.varm[slot], pd.DataFrame) or use_loadings is not None
    if known is not None and not named and len(known) == loadings.shape[1]:
        loadings = loadings.set_axis(known.index.astype(str), axis=1)  # an array has no names of its own
    sets = _read(adata, set_key, "set_key", "Run pp.gene_sets first, or name another", "Set")
    modelled = loadings.notna().any(axis=1).to_numpy()
    loadings, sets = loadings[modelled], sets[modelled]
    _check_finite(loadings, slot)
    _check_finite(sets, set_key)
    if len(loadings) < MIN_TESTED:
        raise error(f"Loadings must be of {MIN_TESTED} genes or more", got=len(loadings))
    profiles, weights = loadings.to_numpy(), sparse.csc_matrix(sets.to_numpy())
    n_genes, same_as = np.diff(weights.indptr), _same_as(weights)
    effect = slopes(profiles, weights)
    statistic, p_value = METHODS[method](profiles, weights)
    skipped = inactive_factors(adata, key, loadings.shape[1])[:, None] | (n_genes < min_genes)
    for values in (effect, statistic, p_value):
        values[skipped] = np.nan
    names = _set_names(adata, set_key, sets.columns)
    table = pd.DataFrame(
        {
            "factor": np.repeat(loadings.columns.to_numpy(dtype=str), len(names)),
            "gene_set": np.tile(names, loadings.shape[1]),
            "effect": effect.ravel(),
            "statistic": statistic.ravel(),
            "p_value": p_value.ravel(),
            "q_value": _q_values(p_value, same_as).ravel(),
            "n_genes": np.tile(n_genes, loadings.shape[1]),
            "same_as": np.tile(np.where(same_as >= 0, names[same_as], ""), loadings.shape[1]),
        }
    )
    adata = adata.copy() if copy else adata
    params = {"set_key": set_key, "use_loadings": slot, "method": method, "min_genes": min_genes}
    store(adata, key, Slots.enrich, {"table": _ordered(table), "params": params})
    return adata if copy else None


def _read(adata: AnnData, slot: str, argument: str, fix: str, word: str) -> pd.DataFrame:
    """Return a table of ``varm`` as numbers."""
    check_name(argument, slot)
    if slot not in adata.varm:
        have = listing(list(adata.varm)) or "none"
        raise error(
            f"{argument} must name a slot of adata.varm",
            got=repr(slot),
            fix=f"{fix}; there are {have}.",
            kind=KeyError,
        )
    stored = adata.varm[slot]
    values = np.asarray(stored.toarray() if sparse.issparse(stored) else stored, dtype=np.float64)
    columns = getattr(stored, "columns", [f"{word} {i + 1}" for i in range(values.shape[1])])
    return pd.DataFrame(values, index=adata.var_names, columns=pd.Index(columns).astype(str))


def _check_finite(table: pd.DataFrame, slot: str) -> None:
    bad = ~np.isfinite(table.to_numpy())
    if bad.any():
        gene = table.index[int(np.argwhere(bad)[0, 0])]
        raise error(f"adata.varm[{slot!r}] must be finite", got=f"another value for gene {gene!r}")


def _same_as(weights: sparse.csc_matrix) -> NDArray[np.int64]:
    """Position of the first set with the same weights, if it stands before; else -1."""
    first: dict[tuple[bytes, bytes], int] = {}
    found = np.full(weights.shape[1], -1)
    for j in range(weights.shape[1]):
        part = slice(weights.indptr[j], weights.indptr[j + 1])
        place = first.setdefault((weights.indices[part].tobytes(), weights.data[part].tobytes()), j)
        found[j] = place if place < j else -1
    return found


def _q_values(p_value: NDArray[np.float64], same_as: NDArray[np.int64]) -> NDArray[np.float64]:
    """Over all tests (factors, sets); equal sets are one test."""
    q = np.full(p_value.shape, np.nan)
    tested = ~np.isnan(p_value) & (same_as < 0)
    if tested.any():
        q[tested] = false_discovery_control(p_value[tested])
    return q[:, np.where(same_as >= 0, same_as, np.arange(len(same_as)))]


def _set_names(adata: AnnData, set_key: str, columns: pd.Index) -> NDArray[np.str_]:
    """Full names of the sets where the report of coverage knows them, else those of the columns."""
    entry = adata.uns.get(set_key)
    report = entry.get("coverage") if isinstance(entry, Mapping) else None
    known = {}
    if isinstance(report, pd.DataFrame) and "column" in report:
        known = dict(zip(report["column"].astype(str), report.index.astype(str), strict=True))
    return np.array([known.get(column, column) for column in columns])


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Factors in their order, the strongest sets first within."""
    factors = table["factor"].drop_duplicates()
    place = table["factor"].map(pd.Series(np.arange(len(factors)), index=factors.to_numpy()))
    strength = -table["statistic"].abs()
    order = np.lexsort((strength.fillna(np.inf), place))
    return table.iloc[order].set_axis(pd.RangeIndex(len(table)).astype(str))
