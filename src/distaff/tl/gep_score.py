"""Rank-based score of gene-expression programs in each cell."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from distaff._checks import check_adata, check_choice, check_flag, check_number, check_seed, error, listing
from distaff._keys import GEP_SCORE
from distaff.pp._gene_set_columns import column_names
from distaff.pp._gene_set_sources import read_gene_sets
from distaff.pp._names import check_unique, naming_hint
from distaff.pp.check_counts import finite_blocks
from distaff.tl._aucell import VARIANTS, largest_area, rank_weights, threshold

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["gep_score"]

BLOCK_CELLS = 256  # weights of so many cells at once: 8 MB at 25,000 genes
MIN_COVERAGE = 0.2  # AUCell's own limit


def gep_score(
    adata: AnnData,
    gene_sets: str | Path | Mapping[str, Iterable[str] | Mapping[str, float]] | pd.DataFrame,
    *,
    variant: Literal["aucell", "pyscenic"] = "aucell",
    top: float = 0.05,
    layer: str | None = None,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Score gene sets in each cell by the ranks of their genes, as AUCell does :cite:p:`Aibar17`.

    Genes of a cell have ranks :math:`r = 1, 2, \dots` from the highest value down, ties in random order. With
    a threshold :math:`t`, a share ``top`` of all genes, the score of a set :math:`S` is the area under its
    recovery curve relative to the largest one,

    .. math:: \frac1A \sum_{g \in S, \; r_g < t} (t - r_g).

    These are the GEP scores of :cite:p:`Kimmel20`, there of the true gene sets of a simulation. Only ranks
    count: counts and log-normalised values of a cell give the same score.

    Parameters
    ----------
    adata
        Annotated data.
    gene_sets
        Slot of ``adata.varm`` with a mask, as :func:`distaff.pp.gene_sets` writes it; or what that function
        takes: path of a GMT file, dict, or decoupler net. Weights play no role but must not be negative.
    variant
        ``"aucell"``: :math:`t = \lceil \mathrm{top} \cdot G \rceil`, and :math:`A` is the area of a set with
        the first ranks, so that 1 can be reached; AUCell 1.x in R. ``"pyscenic"``: :math:`t` is rounded and
        :math:`A = t |S|` :cite:p:`VandeSande20`.
    top
        Share of the genes, above 0, at most 1.
    layer
        Layer to rank; None for ``adata.X``.
    random_state
        Seed of the order of ties.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes

    - ``obsm["gep_score"]``: DataFrame (cells, sets), score from 0 to 1; NaN for cells without any count
    - ``uns["gep_score"]["params"]``: ``variant``, ``top``, ``max_rank`` (:math:`t`), ``layer``,
      ``random_state``, ``source``, and ``sha256`` of sets that are not from ``varm``
    - ``uns["gep_score"]["coverage"]``: DataFrame, one row a set: ``column``, ``n_genes_total``,
      ``n_genes_matched``, ``coverage``
    - ``uns["gep_score"]["n_empty_cells"]``: cells without any count
    - ``uns["gep_score"]["n_cells_with_ranked_zeros"]``: other cells with fewer than :math:`t - 1` genes above
      0, where genes at 0 have random ranks below the threshold

    Warns
    -----
    UserWarning
        If cells have no counts, or more than 80 % of a set's genes are not in the data (AUCell leaves such
        sets out; we do if all of them are not).

    Raises
    ------
    FileNotFoundError
        If a string names neither a slot of ``adata.varm`` nor a file.
    KeyError
        If there is no such layer.
    ValueError
        If no gene set has a gene in the data, or one in ``varm`` has none; if weights are negative, names of
        genes are not unique, values are not finite, or ``top`` leaves no rank below the threshold.

    Notes
    -----
    A random set has the mean score :math:`|S| \, t (t - 1) / (2 G A)`. The order of ties depends on the seed
    and on the cells before, not on the kind of matrix.

    Scores follow the depth of cells: in a shallow cell few genes are above 0 and the rest of the ranks below
    the threshold are random.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(300, 1000, random_state=0)
    >>> effects = adata.varm["program_effects"]
    >>> programs = {name: effects.index[effects[name] > 1] for name in effects}
    >>> ds.tl.gep_score(adata, programs)
    >>> means = adata.obsm["gep_score"].groupby(adata.obs["cell_type"], observed=True).mean()
    >>> means.idxmax().iloc[:2].to_list()
    ['identity_1', 'identity_2']
    """
    check_flag("copy", copy)
    check_adata(adata)
    check_choice("variant", variant, VARIANTS)
    top = check_number("top", top, above=0.0, maximum=1.0)
    seed = check_seed("random_state", random_state)
    if adata.is_view and not copy:
        raise error(
            "adata must not be a view", got="a view of another AnnData", fix="Use adata.copy(), or copy=True."
        )
    max_rank = threshold(adata.n_vars, top, variant)
    if max_rank < 2:
        raise error(
            "top must leave a rank below the threshold",
            got=f"top={top:g} of {adata.n_vars} genes, a threshold of {max_rank}",
            fix="Raise top.",
        )
    mask, coverage, origin = _read(adata, gene_sets)
    area = largest_area(np.asarray(mask.sum(axis=0), dtype=np.int64).ravel(), max_rank, variant)
    scores, n_positive, empty = _score(adata, mask, max_rank, layer, np.random.default_rng(seed))
    scores /= area
    scores[empty] = np.nan
    _warn(coverage, empty)

    adata = adata.copy() if copy else adata
    adata.obsm[GEP_SCORE] = pd.DataFrame(scores, index=adata.obs_names, columns=coverage["column"].to_list())
    params = {"variant": variant, "top": top, "max_rank": max_rank, "random_state": seed, **origin}
    adata.uns[GEP_SCORE] = {
        "params": params if layer is None else {**params, "layer": layer},
        "coverage": coverage,
        "n_empty_cells": int(empty.sum()),
        "n_cells_with_ranked_zeros": int(((n_positive < max_rank - 1) & ~empty).sum()),
    }
    return adata if copy else None


def _score(
    adata: AnnData, mask: sparse.csr_matrix, max_rank: int, layer: str | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas (cells, sets); number of values above 0 and whether all are 0, both (cells,)."""
    areas, n_positive = np.empty((adata.n_obs, mask.shape[1])), np.empty(adata.n_obs, dtype=np.int64)
    empty = np.empty(adata.n_obs, dtype=bool)
    for first, block in finite_blocks(adata, layer=layer):
        for start in range(0, block.shape[0], BLOCK_CELLS):
            part = block[start : start + BLOCK_CELLS]
            cells = slice(first + start, first + start + part.shape[0])
            areas[cells] = (rank_weights(rng, part, max_rank) @ mask).toarray()
            n_positive[cells] = np.asarray((part > 0).sum(axis=1)).ravel()
            empty[cells] = np.asarray((part != 0).sum(axis=1)).ravel() == 0
    return areas, n_positive, empty


def _read(adata: AnnData, source: Any) -> tuple[sparse.csr_matrix, pd.DataFrame, dict[str, Any]]:
    """Membership (genes, sets), number of genes of each set, and where the sets are from."""
    check_unique(adata.var_names, "adata.var_names", fix="Use adata.var_names_make_unique().")
    if isinstance(source, str) and source in adata.varm:
        return _from_varm(adata, source)
    if isinstance(source, str) and not Path(source).is_file():
        raise error(
            "gene_sets must name a slot of adata.varm or a GMT file",
            got=repr(source),
            fix=f"The slots are {listing(list(adata.varm)) or 'none'}.",
            kind=FileNotFoundError,
        )
    sets = read_gene_sets(source)
    negative = [name for name, weights in sets.weights.items() if min(weights.values()) < 0]
    if negative:
        raise _negative(negative)
    places = [adata.var_names.get_indexer(list(weights)) for weights in sets.weights.values()]
    found = [place[place >= 0] for place in places]
    names = [name for name, place in zip(sets.weights, found, strict=True) if len(place)]
    missed = [name for name in sets.weights if name not in set(names)]
    if not names:
        genes = {gene for weights in sets.weights.values() for gene in weights}
        hint = naming_hint(
            genes, adata.var_names, of="the gene sets", if_case="use gene sets of the species of adata."
        )
        raise _no_genes(missed, hint or "Use gene sets of these genes.")
    if missed:
        message = error(
            "Every gene set should have genes in adata.var_names",
            got=f"none of {len(missed)}: {listing(missed)}",
            fix="They are left out.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=3)
    sizes = np.array([len(place) for place in places if (place >= 0).any()])
    found = [place for place in found if len(place)]
    indptr = np.append(0, np.cumsum([len(place) for place in found]))
    mask = sparse.csc_matrix(
        (np.ones(indptr[-1]), np.concatenate(found), indptr), shape=(adata.n_vars, len(found))
    ).tocsr()
    coverage = _coverage(names, np.diff(indptr), sizes)
    return mask, coverage, {"source": sets.source, "sha256": sets.sha256}


def _from_varm(adata: AnnData, key: str) -> tuple[sparse.csr_matrix, pd.DataFrame, dict[str, Any]]:
    table = adata.varm[key]
    values = np.asarray(table.toarray() if sparse.issparse(table) else table)
    names = [str(name) for name in getattr(table, "columns", range(1, values.shape[1] + 1))]
    if not np.isfinite(values.astype(np.float64)).all():
        raise error(f"adata.varm[{key!r}] must be finite", got="missing or infinite weights")
    negative = [name for name, column in zip(names, values.T, strict=True) if (column < 0).any()]
    if negative:
        raise _negative(negative)
    mask = sparse.csr_matrix((values != 0).astype(np.float64))
    sizes = np.asarray(mask.sum(axis=0), dtype=np.int64).ravel()
    missed = [name for name, size in zip(names, sizes, strict=True) if not size]
    if missed:
        raise _no_genes(missed, "Run distaff.pp.gene_sets on these genes.")
    return mask, _coverage(names, sizes, sizes), {"source": f"varm[{key!r}]"}


def _coverage(names: list[str], matched: np.ndarray, total: np.ndarray) -> pd.DataFrame:
    columns = {
        "column": column_names(names),
        "n_genes_total": total,
        "n_genes_matched": matched,
        "coverage": matched / total,
    }
    return pd.DataFrame(columns, index=pd.Index(names, name="gene_set"))


def _negative(names: list[str]) -> Exception:
    return error(
        "Weights of gene sets must not be negative",
        got=f"some in {listing(names)}",
        fix="A score of ranks knows no direction: make a set of the genes that go up.",
    )


def _no_genes(names: list[str], fix: str) -> Exception:
    got = f"none of {listing(names)}"
    return error("Every gene set must have genes in adata.var_names", got=got, fix=fix)


def _warn(coverage: pd.DataFrame, empty: np.ndarray) -> None:
    few = coverage.index[coverage["coverage"] < MIN_COVERAGE]
    if len(few):
        message = error(
            "A gene set should have 20 % of its genes in the data",
            got=f"less of {listing(few)}",
            fix="Their scores say little.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=3)
    if empty.any():
        message = error(
            "Every cell should have counts",
            got=f"{int(empty.sum())} cells without any",
            fix="Their scores are NaN.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=3)
