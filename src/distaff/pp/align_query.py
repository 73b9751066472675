"""New data in the genes of a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from distaff._checks import check_adata, check_number, error, listing
from distaff._storage import check_structure
from distaff.pp._names import check_unique, naming_hint

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["align_query"]

# what scvi-tools writes to say that it knows an object: the new one it does not know yet
REGISTERED = {"_scvi_uuid", "_scvi_manager_uuid"}


def align_query(adata: AnnData, model: Any, *, min_coverage: float = 0.8) -> AnnData:
    """Give new data the genes of a model, in its order: genes it lacks become zero counts.

    Parameters
    ----------
    adata
        New cells, in memory.
    model
        Model with ``get_var_names()``, any of scvi-tools too; or the names of its genes, in order.
    min_coverage
        Share of the model's genes that must be in the data: a latent from many made-up zeros means little.

    Returns
    -------
    New AnnData (cells, genes of the model) with ``X`` and all layers in their format and dtype, and copies of
    ``obs``, ``obsm``, ``obsp``, ``uns`` and ``raw``. ``var["padded"]`` tells which genes are made up; other
    columns of ``var`` are missing, False or empty text there. ``varm`` and ``varp`` are left out.

    Warns
    -----
    UserWarning
        If genes were padded.

    Raises
    ------
    TypeError
        If ``model`` is neither a model nor a list of names, or a matrix is not in memory.
    ValueError
        If names of genes repeat, or too few genes of the model are in the data.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.array([[1, 2, 3], [4, 5, 6]]))
    >>> adata.var_names = ["CD3D", "CD8A", "MS4A1"]
    >>> ds.pp.align_query(adata, ["MS4A1", "CD3D"]).X.tolist()
    [[3, 1], [6, 4]]
    """
    check_adata(adata)
    check_number("min_coverage", min_coverage, minimum=0, maximum=1)
    if adata.isbacked:
        raise error(
            "adata must be in memory", got="backed data", fix="Use adata.to_memory().", kind=TypeError
        )
    check_unique(adata.var_names, "adata.var_names", fix="Use adata.var_names_make_unique().")
    genes = _gene_names(model)
    positions = adata.var_names.get_indexer(genes)
    padded = positions < 0
    if padded.any():
        _check_coverage(adata, genes, padded, min_coverage)
    aligned = anndata.AnnData(
        None if adata.X is None else _take(adata.X, positions, "adata.X"),
        obs=adata.obs.copy(),
        var=_take_var(adata.var, genes, padded),
        obsm=adata.obsm.copy(),
        obsp=adata.obsp.copy(),
        uns={name: deepcopy(value) for name, value in adata.uns.items() if name not in REGISTERED},
        layers={
            name: _take(matrix, positions, f"adata.layers[{name!r}]")
            for name, matrix in adata.layers.items()
            if name is not None
        },
    )
    if adata.raw is not None:
        aligned.raw = adata.raw.to_adata()
    return aligned


def _gene_names(model: Any) -> pd.Index:
    """Names of the genes of a model, checked."""
    names = model.get_var_names() if hasattr(model, "get_var_names") else model
    if isinstance(names, str | Mapping) or not isinstance(names, Iterable):
        raise error(
            "model must have get_var_names(), or be a list of names of genes",
            got="names of several modalities" if isinstance(names, Mapping) else repr(names),
            kind=TypeError,
        )
    names = list(names)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        got = f"{wrong[0]!r} ({type(wrong[0]).__name__})"
        raise error("Genes of the model must be strings", got=got, kind=TypeError)
    if not names:
        raise error("The model must have genes", got="none")
    genes = pd.Index([str(name) for name in names])
    check_unique(genes, "Genes of the model")
    return genes


def _check_coverage(adata: AnnData, genes: pd.Index, padded: np.ndarray, min_coverage: float) -> None:
    """Refuse data that lack too much, and say so where they lack less."""
    missing, coverage = genes[padded], 1 - padded.mean()
    if coverage < min_coverage or padded.all():
        if_case = "write adata.var_names as the model does, if they are the same species."
        raise error(
            f"adata must have {min_coverage:.3g} of the {len(genes)} genes of the model, and any at all",
            got=f"{coverage:.3g}, without {len(missing)} genes: {listing(missing)}",
            fix=naming_hint(genes, adata.var_names, of="the model", if_case=if_case)
            or "Lower min_coverage to fill in zeros all the same.",
        )
    warnings.warn(
        f"{len(missing)} of the {len(genes)} genes of the model are not in adata and became zero counts: "
        f"{listing(missing)}. See var['padded'] of the result.",
        stacklevel=3,
    )


def _take(matrix: Any, positions: np.ndarray, place: str) -> Any:
    """Columns of a matrix, zeros where the position is -1; a sparse one stays sparse."""
    check_structure(matrix, place)
    if sparse.issparse(matrix):
        return _take_sparse(matrix, positions)
    if not isinstance(matrix, np.ndarray):
        raise error(
            f"{place} must be a numpy array, or a CSR or CSC matrix",
            got=type(matrix).__name__,
            kind=TypeError,
        )
    result = np.zeros((matrix.shape[0], len(positions)), dtype=matrix.dtype)
    result[:, positions >= 0] = matrix[:, positions[positions >= 0]]
    return result


def _take_sparse(matrix: Any, positions: np.ndarray) -> Any:
    """Read all missing columns from an empty one that is put behind the others, without copying those."""
    n_rows, n_columns = matrix.shape
    indptr = matrix.indptr
    if matrix.format == "csc":
        indptr = np.append(indptr, indptr[-1])
    wide = type(matrix)((matrix.data, matrix.indices, indptr), shape=(n_rows, n_columns + 1), copy=False)
    result = wide[:, np.where(positions < 0, n_columns, positions)]
    result.sort_indices()
    return result


def _take_var(var: pd.DataFrame, genes: pd.Index, padded: np.ndarray) -> pd.DataFrame:
    """Rows of ``var``; made-up genes get values that neither change a column's kind nor break a file."""
    result = var.reindex(genes)
    for name in var.columns if padded.any() else ():
        if pd.api.types.is_bool_dtype(var[name]):
            result[name] = var[name].reindex(genes, fill_value=False)
        elif not isinstance(var[name].dtype, pd.CategoricalDtype) and pd.api.types.is_string_dtype(var[name]):
            result[name] = var[name].reindex(genes, fill_value="")
    result["padded"] = padded
    return result
