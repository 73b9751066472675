"""Gene sets as a mask over the genes of the data, with a report of what was found."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from distaff._checks import check_adata, check_flag, check_int, check_number, error, listing
from distaff.pp._gene_set_columns import column_names
from distaff.pp._gene_set_overlap import find_overlaps
from distaff.pp._gene_set_sources import GeneSets, read_gene_sets
from distaff.pp._names import check_unique, column_hint, naming_hint

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["gene_sets"]

MANY_SAME = 0.25  # share of the kept sets: collections of pathways reach a tenth, a list with a mistake more


def gene_sets(
    adata: AnnData,
    source: str | Path | Mapping[str, Iterable[str] | Mapping[str, float]] | pd.DataFrame,
    *,
    set_key: str = "gene_sets",
    min_genes: int = 12,
    max_genes: int | None = None,
    min_coverage: float = 0.0,
    ignore_case: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Store gene sets as a mask over the genes of the data.

    A set is kept if enough of its genes are in ``adata.var_names``: at least 12 by default, where
    :cite:t:`Rybakov20` ask for more than 12 (``min_genes=13``). The mask is dense, with 4 bytes a gene and
    set: 1,600 sets over 14,000 genes take 90 MB.

    Parameters
    ----------
    adata
        Annotated data.
    source
        Path of a GMT file (name, description, genes; separated by tabs; gzip allowed), a dict from the name
        of a set to its genes or to the weight of each gene, or a decoupler net (DataFrame with the columns
        ``source``, ``target`` and, if there are weights, ``weight``).
    set_key
        Slot of ``adata.varm`` and ``adata.uns`` to write; replaced if there.
    min_genes
        Keep sets with at least this many genes in the data.
    max_genes
        Keep sets with at most this many genes in the data; None for no limit.
    min_coverage
        Keep sets with at least this share of their genes in the data.
    ignore_case
        Match names that differ in upper and lower case only.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes

    - ``varm["{set_key}"]``: DataFrame (genes, kept sets) float32, 1 (or the weight) for the genes of a set.
      A column has the name of its set, but for characters and lengths that no file can hold (``/``).
    - ``uns["{set_key}"]["coverage"]``: DataFrame, one row a set of the source: ``column``,
      ``n_genes_total``, ``n_genes_matched``, ``coverage``, ``kept``, ``reason``, ``same_as`` (the first kept
      set with the same genes, if it is not this one: no model can tell the two apart), ``nested_in`` (the
      smallest kept set with all its genes and more). Kept sets come first, else the order is the source's.
    - ``uns["{set_key}"]``: ``source``, ``sha256`` (of the file, or of the names and weights), ``n_sets``,
      ``n_kept``, ``n_same`` (kept sets with the same genes as another), ``n_duplicated_genes`` (named again
      by their set, counted once), ``parameters``

    Warns
    -----
    UserWarning
        If more than a quarter of the kept sets hold the same genes as another; of Reactome up to a tenth do.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the names of sets or genes are not strings.
    ValueError
        If a line of the file is malformed (the message gives its number), a set is empty or named twice, no
        set is left, or names of genes are ambiguous.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.ones((2, 4)))
    >>> adata.var_names = ["CD3D", "CD8A", "MS4A1", "CD79A"]
    >>> programs = {"T": ["CD3D", "CD8A", "CD4"], "B": ["MS4A1", "CD79A"], "NK": ["GNLY", "CD3D"]}
    >>> ds.pp.gene_sets(adata, programs, min_genes=2)
    >>> adata.varm["gene_sets"].sum().to_dict()
    {'T': 2.0, 'B': 2.0}
    >>> adata.uns["gene_sets"]["coverage"]["reason"].to_dict()
    {'T': 'kept', 'B': 'kept', 'NK': 'fewer than min_genes'}
    """
    check_flag("ignore_case", ignore_case)
    _check_arguments(adata, set_key, copy=copy)
    limits = _check_limits(min_genes, max_genes, min_coverage)
    sets = read_gene_sets(source)
    lookup = _lookup(adata.var_names, ignore_case=ignore_case)
    if ignore_case:
        sets = _fold(sets)
    matrix = _match(sets, lookup)
    report = _coverage(sets, matrix, limits)
    kept = report["kept"].to_numpy()
    if not kept.any():
        raise _nothing_left(sets, report, adata.var, limits, ignore_case=ignore_case)
    report.loc[kept, "column"] = columns = column_names(report.index[kept].tolist())
    n_same = _report_overlaps(report, matrix[:, kept], set_key)

    adata = adata.copy() if copy else adata
    mask = matrix[:, kept].toarray(order="F")
    adata.varm[set_key] = pd.DataFrame(mask, index=adata.var_names, columns=columns, copy=False)
    adata.uns[set_key] = {
        "coverage": report.sort_values("kept", ascending=False, kind="stable"),
        "source": sets.source,
        "sha256": sets.sha256,
        "n_sets": len(report),
        "n_kept": int(kept.sum()),
        "n_same": n_same,
        "n_duplicated_genes": sets.n_duplicated,
        "parameters": {**limits, "ignore_case": ignore_case},
    }
    return adata if copy else None


# --- checks ---------------------------------------------------------------------------------------


def _check_arguments(adata: AnnData, set_key: str, *, copy: bool) -> None:
    check_flag("copy", copy)
    check_adata(adata)
    if adata.is_view and not copy:
        raise error(
            "adata must not be a view", got="a view of another AnnData", fix="Use adata.copy(), or copy=True."
        )
    if not isinstance(set_key, str) or not set_key or "/" in set_key:
        raise error("set_key must be a string without '/'", got=repr(set_key))
    check_unique(adata.var_names, "adata.var_names", fix="Use adata.var_names_make_unique().")


def _check_limits(min_genes: int, max_genes: int | None, min_coverage: float) -> dict[str, Any]:
    """Rules for the sets to keep; a rule that is None is left out, since not every file can hold it."""
    limits: dict[str, Any] = {"min_genes": check_int("min_genes", min_genes, minimum=1)}
    if max_genes is not None:
        limits["max_genes"] = check_int("max_genes", max_genes, minimum=limits["min_genes"])
    limits["min_coverage"] = check_number("min_coverage", min_coverage, minimum=0, maximum=1)
    return limits


def _nothing_left(
    sets: GeneSets, report: pd.DataFrame, var: pd.DataFrame, limits: dict[str, Any], *, ignore_case: bool
) -> Exception:
    genes = {gene for weights in sets.weights.values() for gene in weights}
    best = report["n_genes_matched"].idxmax()
    counts = ", ".join(f"{n} with {reason}" for reason, n in report["reason"].value_counts().items())
    of, folded = "the gene sets", {name.casefold() for name in var.index} if ignore_case else var.index
    if_case = "use gene sets of the species of adata, or pass ignore_case=True."
    hints = [naming_hint(genes, folded, of=of, if_case=if_case), column_hint(genes, var)]
    return error(
        "source must have a gene set that meets "
        + ", ".join(f"{name}={limit}" for name, limit in limits.items()),
        got=f"{len(report)} gene sets: {counts}; {best!r} matches most, "
        f"{report.at[best, 'n_genes_matched']} of {report.at[best, 'n_genes_total']} genes",
        fix=" ".join(filter(None, hints)) or "Change the limits if these are the right gene sets.",
    )


# --- matching -------------------------------------------------------------------------------------


def _lookup(var_names: pd.Index, *, ignore_case: bool) -> dict[str, int]:
    """Position of each gene by its name."""
    if not ignore_case:
        return {name: i for i, name in enumerate(var_names)}
    lookup: dict[str, int] = {}
    for i, name in enumerate(var_names):
        first = lookup.setdefault(name.casefold(), i)
        if first != i:
            raise error(
                "ignore_case needs var_names that differ in more than upper and lower case",
                got=f"{var_names[first]!r} and {name!r}",
                fix="Rename one of them, or leave ignore_case=False.",
            )
    return lookup


def _fold(sets: GeneSets) -> GeneSets:
    """The same sets with names in one case; genes that become one are counted once."""
    folded = GeneSets(sets.source, sets.sha256, n_duplicated=sets.n_duplicated)
    for name, weights in sets.weights.items():
        pairs = ((gene.casefold(), weight) for gene, weight in weights.items())
        folded.add(name, pairs, place=f"gene set {name!r}")
    return folded


def _match(sets: GeneSets, lookup: dict[str, int]) -> sparse.csc_matrix:
    """Weights as a matrix (genes of the data, sets of the source)."""
    rows: list[int] = []
    values: list[float] = []
    starts = [0]
    for weights in sets.weights.values():
        found = sorted((lookup[gene], weight) for gene, weight in weights.items() if gene in lookup)
        rows += [row for row, _ in found]
        values += [weight for _, weight in found]
        starts.append(len(rows))
    shape = (len(lookup), len(sets.weights))
    return sparse.csc_matrix((np.array(values, dtype=np.float32), np.array(rows, dtype=int), starts), shape)


def _coverage(sets: GeneSets, matrix: sparse.csc_matrix, limits: dict[str, Any]) -> pd.DataFrame:
    """Table of all sets of the source, and why each is kept or not."""
    total = np.array([len(weights) for weights in sets.weights.values()])
    matched = np.diff(matrix.indptr).astype(int)
    coverage = matched / total
    reason = np.select(
        [
            matched < limits["min_genes"],
            matched > limits.get("max_genes", np.inf),
            coverage < limits["min_coverage"],
        ],
        ["fewer than min_genes", "more than max_genes", "coverage below min_coverage"],
        "kept",
    )
    columns = {
        "column": "",
        "n_genes_total": total,
        "n_genes_matched": matched,
        "coverage": coverage,
        "kept": reason == "kept",
        "reason": reason,
        "same_as": "",
        "nested_in": "",
    }
    return pd.DataFrame(columns, index=pd.Index(list(sets.weights), name="gene_set"))


def _report_overlaps(report: pd.DataFrame, matrix: sparse.csc_matrix, set_key: str) -> int:
    """Fill in identical and nested sets; count the identical ones, and warn if there are many."""
    names = report.index[report["kept"]]
    for column, found in zip(("same_as", "nested_in"), find_overlaps(matrix), strict=True):
        report.loc[names[found >= 0], column] = names[found[found >= 0]].to_numpy()
    same = report["same_as"][report["same_as"] != ""]
    if len(same) > MANY_SAME * len(names):
        pairs = [f"{name} = {first}" for name, first in same.items()]
        warnings.warn(
            f"{len(same)} of {len(names)} gene sets hold the same genes of adata as another, and no model "
            f"can tell them apart: {listing(pairs)}. All are kept; "
            f"adata.uns[{set_key!r}]['coverage']['same_as'] has them.",
            stacklevel=3,
        )
    return len(same)
