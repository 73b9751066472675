"""Full scan of a count matrix before any model sees it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from distaff._checks import check_adata, check_flag, error, listing
from distaff._disk import DiskRows, is_on_disk
from distaff._storage import check_storage, true_csr
from distaff.pp._names import check_unique

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["check_counts"]

CHUNK_VALUES = 2**24  # values looked at at once: 64 MB of float32
LARGEST = float(np.finfo(np.float32).max)
HUGE = 2.0**24  # float32 no longer tells neighbouring whole numbers apart above this

RAW_FIX = "Give raw counts: a layer that holds them (layer=...), or adata.raw."


def check_counts(adata: AnnData, *, layer: str | None = None, allow_non_integer: bool = False) -> None:
    """Check every value of a matrix, in memory or backed, and that its genes and cells can be modelled.

    Parameters
    ----------
    adata
        Annotated data.
    layer
        Layer with the counts; None for ``adata.X``.
    allow_non_integer
        Accept any finite value: corrected counts, log-normalised or scaled expression.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If ``adata`` is a view, has fewer than two cells, no genes or duplicated gene names; if a value is
        missing, infinite, negative or fractional, or a cell has no counts; the message names the first
        cell and gene. If the parts of a sparse matrix do not fit together.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> ds.pp.check_counts(anndata.AnnData(np.array([[1.0, 0.0], [2.0, 3.0]])))
    """
    check_flag("allow_non_integer", allow_non_integer)
    check_whole(adata)
    check_values(adata, layer=layer, allow_non_integer=allow_non_integer)


def check_whole(adata: AnnData) -> None:
    """Check that there are data of their own, of cells to learn from."""
    check_adata(adata)
    if adata.is_view:
        raise error("adata must not be a view", got="a view of another AnnData", fix="Use adata.copy().")
    if adata.n_obs < 2:
        raise error("adata must have at least 2 cells", got=adata.n_obs)


def check_values(
    adata: AnnData,
    *,
    layer: str | None,
    allow_non_integer: bool,
    look: Callable[[int, Any], None] | None = None,
) -> None:
    """Check all values, also of a single cell or a view.

    ``look`` is shown each block of rows, CSR or dense, with the number of its first row.
    """
    if adata.n_obs < 1:
        raise error("adata must have at least 1 cell", got=0)
    if adata.n_vars < 1:
        raise error("adata must have at least 1 gene", got=0)
    check_unique(adata.var_names, "adata.var_names", fix="Use adata.var_names_make_unique().")
    matrix, place = _matrix(adata, layer), _place(layer)
    if len(matrix.shape) != 2:  # newer anndata reads more from a file
        raise error(f"{place} must have cells and genes as its two axes", got=f"shape {matrix.shape}")
    scan = _Scan(adata, place, any_real=allow_non_integer)
    for start, block in _row_blocks(matrix, place):
        scan.block(start, block)
        if look is not None:
            look(start, block)
    scan.finish()


def check_non_negative(adata: AnnData, *, layer: str | None = None) -> None:
    """Check that no value is negative and no cell is empty: all that a count likelihood needs."""
    place = _place(layer)
    scan = _Scan(adata, place, any_real=True)
    for start, block in _row_blocks(_matrix(adata, layer), place):
        scan.negative(start, block)
        scan.empty(start, block)
    scan.finish()


def finite_blocks(adata: AnnData, *, layer: str | None = None) -> Iterator[tuple[int, Any]]:
    """First row and values of blocks of rows, CSR or dense, each checked to hold finite numbers."""
    place = _place(layer)
    scan = _Scan(adata, place, any_real=True)
    for start, block in _row_blocks(_matrix(adata, layer), place):
        scan.block(start, block)
        yield start, block


def _matrix(adata: AnnData, layer: str | None) -> Any:
    if layer is None:
        if adata.X is None:
            raise error(
                "adata.X must hold counts", got="None", fix="Name the layer with the counts (layer=...)."
            )
        return adata.X
    if not isinstance(layer, str) or layer not in adata.layers:
        names = listing([name for name in adata.layers if name is not None]) or "none"
        raise error(
            "layer must name a layer of adata", got=repr(layer), fix=f"The layers are {names}.", kind=KeyError
        )
    return adata.layers[layer]


def _place(layer: str | None) -> str:
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"


def _row_blocks(matrix: Any, place: str) -> Iterator[tuple[int, Any]]:
    """Blocks of rows as CSR or dense arrays, from memory or from disk, never the whole densified."""
    if is_on_disk(matrix):
        yield from DiskRows(matrix, place=place).blocks()
        return
    if sparse.issparse(matrix):
        yield 0, true_csr(matrix, place)
    else:
        check_storage(matrix, place)
        n_rows = max(1, CHUNK_VALUES // max(1, matrix.shape[1]))
        for start in range(0, matrix.shape[0], n_rows):
            yield start, np.asarray(matrix[start : start + n_rows])


class _Scan:
    """Looks at blocks of rows and raises at the first value that may not be."""

    def __init__(self, adata: AnnData, place: str, *, any_real: bool) -> None:
        self.adata, self.place, self.any_real = adata, place, any_real
        self.n_empty, self.first_empty = 0, -1
        self.largest = 0.0

    def block(self, start: int, block: Any) -> None:
        values = block.data if sparse.issparse(block) else block
        if np.issubdtype(values.dtype, np.inexact):
            self.refuse(
                start, block, ~np.isfinite(values), "must be finite", "Remove or impute these values."
            )
            if values.dtype.itemsize > np.dtype(np.float32).itemsize:
                rule = f"must be within float32 (up to {LARGEST:.2g})"
                self.refuse(start, block, np.abs(values) > LARGEST, rule, RAW_FIX)
        if self.any_real:
            return
        self.largest = max(self.largest, float(values.max(initial=0)))
        self.negative(start, block)
        if np.issubdtype(values.dtype, np.inexact):
            fix = f"{RAW_FIX} Pass allow_non_integer=True if the values are meant to be so."
            self.refuse(start, block, values != np.rint(values), "must hold counts (whole numbers)", fix)
        self.empty(start, block)

    def negative(self, start: int, block: Any) -> None:
        values = block.data if sparse.issparse(block) else block
        self.refuse(start, block, values < 0, "must not be negative", RAW_FIX)

    def empty(self, start: int, block: Any) -> None:
        rows = np.flatnonzero(np.asarray(block.sum(axis=1)).ravel() == 0)
        if len(rows) and not self.n_empty:
            self.first_empty = start + int(rows[0])
        self.n_empty += len(rows)

    def refuse(self, start: int, block: Any, bad: np.ndarray, rule: str, fix: str) -> None:
        if not bad.any():
            return
        first = int(np.flatnonzero(bad.ravel())[0])
        if sparse.issparse(block):
            row, column = (
                int(np.searchsorted(block.indptr, first, side="right")) - 1,
                int(block.indices[first]),
            )
            value = block.data[first]
        else:
            row, column = divmod(first, block.shape[1])
            value = block[row, column]
        cell, gene = self.adata.obs_names[start + row], self.adata.var_names[column]
        more = f" ({int(bad.sum())} such values)" if bad.sum() > 1 else ""
        raise error(f"{self.place} {rule}", got=f"{value} for cell {cell!r}, gene {gene!r}{more}", fix=fix)

    def finish(self) -> None:
        if self.largest > HUGE:
            warnings.warn(
                f"{self.place} holds counts up to {self.largest:g}: is this raw data?", stacklevel=4
            )
        if not self.n_empty:
            return
        if self.n_empty == self.adata.n_obs:
            raise error(f"{self.place} must hold counts", got="zeros only", fix=RAW_FIX)
        raise error(
            f"Every cell of {self.place} must have counts",
            got=f"{self.n_empty} empty cells, the first {self.adata.obs_names[self.first_empty]!r}",
            fix="Remove them: sc.pp.filter_cells(adata, min_counts=1).",
        )
