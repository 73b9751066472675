"""Reading cells, checking their columns, choosing genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import scanpy as sc
from anndata import AnnData

import distaff as ds
from distaff._checks import error
from distaff._storage import check_structure
from distaff._threads import one_thread
from distaff.cli._quiet import log

__all__ = ["check_columns", "choose_genes", "read"]

N_TOP_GENES = 2000


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


def check_columns(
    adata: AnnData, model_class: Any, setup: dict[str, Any], factors: Sequence[str] | None
) -> None:
    """Have the model and the score check all columns on one made-up gene, before anything that takes long."""
    probe = AnnData(np.ones((adata.n_obs, 1), dtype=np.float32), obs=adata.obs.copy())
    model_class.setup_anndata(probe, **{**setup, "layer": None})
    if factors:
        table = AnnData(obs=adata.obs.copy(), obsm=dict(adata.obsm))
        table.obsm["probe of distaff"] = np.zeros((adata.n_obs, 1))
        ds.tl.disentanglement(table, factors, metrics="max_spearman", use_rep="probe of distaff")


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
    try:
        with one_thread():
            table = sc.pp.highly_variable_genes(
                AnnData(matrix, obs=adata.obs, var=adata.var[[]]),
                flavor="seurat_v3",
                n_top_genes=n,
                batch_key=batch_key,
                inplace=False,
            )
    except ValueError as problem:  # too few genes or cells, in a batch or in all, for a regression
        raise error(
            "Genes must be many and varied enough to find the most variable ones",
            got=str(problem),
            fix="Pass --n-top-genes 0 to model all, or leave --batch-key out.",
        ) from problem
    chosen = table["highly_variable"].to_numpy(dtype=bool)
    empty = np.asarray(matrix[:, chosen].sum(axis=1)).ravel() == 0
    if empty.any():
        raise error(
            f"Every cell must have counts in the {n} most variable genes",
            got=f"{empty.sum()} cells without, the first {adata.obs_names[int(empty.argmax())]!r}",
            fix="Raise --n-top-genes, or remove these cells.",
        )
    return chosen
