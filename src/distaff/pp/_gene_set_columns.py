"""Names that a column of a DataFrame may have in every file format of AnnData."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

from distaff._checks import RESERVED, listing

__all__ = ["MAX_COLUMNS", "column_names"]

MAX_BYTES = 255  # a zarr store keeps a column in a folder, and file systems end there
MAX_COLUMNS = 4000  # the list of columns is an attribute, and HDF5 holds 64 kB of it


def column_names(names: Sequence[str]) -> list[str]:
    """Give each gene set a column: its full name, changed only where a file could not hold it."""
    taken = {name for name in names if _fits(name)}
    columns = []
    for name in names:
        column = name
        if not _fits(name):
            column = _shorten(name.replace("/", "_"))
            while column in taken or column in RESERVED:
                column += "_"
            taken.add(column)
        columns.append(column)
    changed = [name for name, column in zip(names, columns, strict=True) if name != column]
    if changed:
        warnings.warn(
            f"{len(changed)} names of gene sets cannot be columns of a file, their columns have other names: "
            f"{listing(changed)}. The table of coverage holds both.",
            stacklevel=3,
        )
    if len(columns) > MAX_COLUMNS:
        warnings.warn(
            f"{len(columns)} gene sets are more than the {MAX_COLUMNS} columns that an h5ad file can hold: "
            "raise min_genes or min_coverage, or write with write_zarr.",
            stacklevel=3,
        )
    return columns


def _fits(name: str) -> bool:
    return "/" not in name and name not in RESERVED and len(name.encode()) <= MAX_BYTES


def _shorten(name: str) -> str:
    """Cut a name that is too long; a checksum of the whole keeps it apart from others that start alike."""
    data = name.encode()
    if len(data) <= MAX_BYTES - 8:
        return name
    return f"{data[:200].decode(errors='ignore')}_{hashlib.sha256(data).hexdigest()[:16]}"
