"""Reading cells, checking their columns, choosing genes."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse

import distaff as ds
from distaff._checks import error, listing
from distaff._storage import check_structure
from distaff._threads import one_thread
from distaff.cli._quiet import log

__all__ = ["check_columns", "check_counts", "choose_genes", "read"]

N_TOP_GENES = 2000
ARGUMENT = "(layer=...)"  # in the sentence in which Python's messages say where counts may be


def read(path: Path) -> AnnData:
    """Read an .h5ad file.

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read as .h5ad.
    """
    if not path.is_file():
        raise error("DATA must be an existing .h5ad file", got=repr(str(path)))
    log(f"reading {path}")
    try:
        adata = anndata.read_h5ad(path)
    except PermissionError:
        raise
    except Exception as problem:  # h5py and anndata raise errors of many kinds
        raise error(
            "DATA must be an .h5ad file", got=f"{str(path)!r}, which cannot be read as one ({problem})"
        ) from problem
    for place, matrix in _matrices(adata):
        check_structure(matrix, place)
    log(f"read {adata.n_obs:,} cells x {adata.n_vars:,} genes")
    return adata


def _matrices(adata: AnnData) -> Iterator[tuple[str, Any]]:
    """All matrices of a file, and what messages call them: those not used are copied and written too."""
    yield "adata.X", adata.X
    if adata.raw is not None:
        yield "adata.raw.X", adata.raw.X
    for slot in ("layers", "obsm", "varm", "obsp", "varp"):
        for name, matrix in getattr(adata, slot).items():
            yield f"adata.{slot}[{name!r}]", matrix


def check_counts(adata: AnnData, *, layer: str | None, allow_non_integer: bool, real_fix: str) -> None:
    """Check the counts; advice on them is in the words of the shell.

    Parameters
    ----------
    adata
        Cells.
    layer
        Layer with the counts; None for X.
    allow_non_integer
        Accept any finite value.
    real_fix
        What to do if values are real numbers on purpose.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If the values cannot be modelled.
    """
    try:
        ds.pp.check_counts(adata, layer=layer, allow_non_integer=allow_non_integer)
    except ValueError as problem:
        before, argument, after = str(problem).partition(ARGUMENT)
        if not argument:
            raise
        said = before[: before.rindex(". ") + 1]
        raise ValueError(f"{said} {_where_counts_are(adata)}{real_fix * ('=True' in after)}") from problem


def _where_counts_are(adata: AnnData) -> str:
    layers = [name for name, matrix in adata.layers.items() if name and _holds_counts(matrix)]
    if layers:
        return f"Layers with counts: {listing(layers)}. Pass --layer {shlex.quote(layers[0])}."
    if adata.raw is not None and _holds_counts(adata.raw.X):
        return "The counts are in raw: write adata.raw.to_adata() to a file of its own."
    return "No layer of the file holds counts: give raw ones."


def _holds_counts(matrix: Any) -> bool:
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    if values.dtype.kind not in "iuf" or not values.any():
        return False
    return bool((values >= 0).all() and (values % 1 == 0).all())


def check_columns(
    adata: AnnData, model_class: Any, setup: dict[str, Any], factors: Sequence[str] | None
) -> None:
    """Have the model and the score check all columns on one made-up gene, before anything that takes long."""
    probe = AnnData(np.ones((adata.n_obs, 1), dtype=np.float32), obs=adata.obs.copy())
    model_class.setup_anndata(probe, **{**setup, "layer": None})
    if factors:
        _check_factors(adata, factors)
        table = AnnData(obs=adata.obs.copy(), obsm=dict(adata.obsm))
        table.obsm["probe of distaff"] = np.zeros((adata.n_obs, 1))
        ds.tl.disentanglement(table, factors, metrics="max_spearman", use_rep="probe of distaff")


def _check_factors(adata: AnnData, factors: Sequence[str]) -> None:
    for name in factors:
        if name not in adata.obs and name not in adata.obsm:
            columns = listing(_closest_first(name, adata.obs)) or "none"
            tables = listing(_closest_first(name, adata.obsm)) or "none"
            raise error(
                "--factors must name columns of obs or tables of obsm",
                got=repr(name),
                fix=f"The columns are {columns}; the tables are {tables}.",
                kind=KeyError,
            )


def _closest_first(name: str, names: Collection[str]) -> list[str]:
    return sorted(names, key=lambda other: -SequenceMatcher(None, name.lower(), other.lower()).ratio())


def choose_genes(adata: AnnData, n_top_genes: int | None, setup: dict[str, Any]) -> np.ndarray:
    """Which genes to model: the most variable ones, or all where there are no more.

    Parameters
    ----------
    adata
        Cells with counts.
    n_top_genes
        Number of genes; 0 for all, None for 2,000.
    setup
        Arguments of ``setup_anndata``: layer and batch.

    Returns
    -------
    Boolean array (genes,).

    Raises
    ------
    ValueError
        If the genes cannot be ranked, or cells have no counts in those chosen.
    """
    everything = np.ones(adata.n_vars, dtype=bool)
    if setup["allow_non_integer"]:
        if n_top_genes:
            fix = "Choose genes beforehand, or leave --n-top-genes out."
            raise error("--n-top-genes needs counts", got="--likelihood normal", fix=fix)
        log(f"modelling all {adata.n_vars:,} genes (highly variable ones are chosen on counts only)")
        return everything
    n = N_TOP_GENES if n_top_genes is None else n_top_genes
    if n == 0 or n >= adata.n_vars:
        log(f"modelling all {adata.n_vars:,} genes")
        return everything
    batch_key = setup.get("batch_key")
    within = f" within each {batch_key}" if batch_key else ""
    log(f"choosing the {n:,} most variable of {adata.n_vars:,} genes{within} (seurat_v3)")
    return _most_variable(adata, n, setup.get("layer"), batch_key)


def _most_variable(adata: AnnData, n: int, layer: str | None, batch_key: str | None) -> np.ndarray:
    matrix = adata.X if layer is None else adata.layers[layer]
    cells = AnnData(matrix, obs=adata.obs, var=adata.var[[]])
    try:
        table = _ranked(cells, n, batch_key)
    except ValueError as problem:  # too few genes or cells, in a batch or in all, for a regression
        raise _unranked(cells, n, batch_key, problem) from problem
    chosen = table["highly_variable"].to_numpy(dtype=bool)
    empty = np.asarray(matrix[:, chosen].sum(axis=1)).ravel() == 0
    if empty.any():
        raise error(
            f"Every cell must have counts in the {n} most variable genes",
            got=f"{empty.sum()} cells without, the first {adata.obs_names[int(empty.argmax())]!r}",
            fix="Raise --n-top-genes, or remove these cells.",
        )
    return chosen


def _ranked(cells: AnnData, n: int, batch_key: str | None) -> pd.DataFrame:
    with one_thread():
        return sc.pp.highly_variable_genes(
            cells, flavor="seurat_v3", n_top_genes=n, batch_key=batch_key, inplace=False
        )


def _unranked(cells: AnnData, n: int, batch_key: str | None, problem: ValueError) -> Exception:
    """Return the error that says in which batches, or else why, genes could not be ranked."""
    batches = {} if batch_key is None else cells.obs.groupby(batch_key, observed=True).indices
    small = [name for name, rows in batches.items() if not _can_rank(cells[rows], n)]
    if small:
        small.sort(key=lambda name: len(batches[name]))
        shown = listing([f"{name} ({len(batches[name]):,} cells)" for name in small])
        return error(
            f"Every batch in obs column {batch_key!r} must have cells enough to choose genes within it",
            got=f"too few in {shown}",
            fix="Pass --n-top-genes 0 to model all genes, or merge such batches with others.",
        )
    why = problem.args[0] if problem.args else ""
    return error(
        "Genes must be many and varied enough to find the most variable ones",
        got=why.decode(errors="replace") if isinstance(why, bytes) else why,  # the regression's are bytes
        fix="Pass --n-top-genes 0 to model all.",
    )


def _can_rank(cells: AnnData, n: int) -> bool:
    try:
        _ranked(cells, n, None)
    except ValueError:
        return False
    return True
