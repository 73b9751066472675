"""The representation that a score is computed on, read and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import check_adata, error, listing, real_values
from distaff._keys import Slots

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["inactive_factors", "model_latent", "representation", "store"]


def model_latent(adata: AnnData, model: Any) -> NDArray[np.float32]:
    """Return the latent of a model for these cells, (cells, factors), finite."""
    check_adata(adata)
    if not hasattr(model, "get_latent_representation"):
        raise error("model must have get_latent_representation()", got=type(model).__name__, kind=TypeError)
    Z = np.asarray(model.get_latent_representation(adata), dtype=np.float32)
    if not np.isfinite(Z).all():
        cell = adata.obs_names[int(np.argwhere(~np.isfinite(Z))[0, 0])]
        raise error("The latent must be finite", got=f"a missing or infinite value for cell {cell!r}")
    return Z


def representation(adata: AnnData, *, key: str, use_rep: str | None) -> tuple[pd.DataFrame, str]:
    """Return the latent as a table (cells, dimensions), and the name of its slot.

    Dimensions are called as the rows of ``uns[key]["factors"]`` where that table describes them, as the
    columns of a slot that is a DataFrame, and else "Factor 1", "Factor 2", ...: counted from 1, as people
    read them.
    """
    check_adata(adata)
    slots = Slots(key)
    name = slots.latent if use_rep is None else use_rep
    if not isinstance(name, str) or name not in adata.obsm:
        raise error(
            "use_rep must name a slot of adata.obsm",
            got=repr(name),
            fix=f"Run tl.latent first, or name another; there are {listing(list(adata.obsm)) or 'none'}.",
            kind=KeyError,
        )
    stored = adata.obsm[name]
    values = real_values(f"adata.obsm[{name!r}]", stored)
    if 0 in values.shape or values.ndim != 2:
        raise error(f"adata.obsm[{name!r}] must have cells and dimensions", got=f"shape {values.shape}")
    dimensions = dimension_names(adata, stored, values.shape[1], slots if use_rep is None else None)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise error(
            f"adata.obsm[{name!r}] must be finite",
            got=f"{values[row, column]} for cell {adata.obs_names[row]!r} in {dimensions[column]!r}",
            fix=f"{int(bad.any(axis=1).sum())} of {len(values)} cells are concerned.",
        )
    return pd.DataFrame(values, index=adata.obs_names, columns=dimensions), name


def dimension_names(adata: AnnData, stored: object, n: int, slots: Slots | None) -> pd.Index:
    """Names of the dimensions, see :func:`representation`."""
    table = factor_table(adata, slots)
    if table is not None and len(table) == n and table.index.is_unique:
        return pd.Index(table.index.astype(str))
    if isinstance(stored, pd.DataFrame):
        return pd.Index(stored.columns.astype(str))
    return pd.Index([f"Factor {i + 1}" for i in range(n)])


def factor_table(adata: AnnData, slots: Slots | None) -> pd.DataFrame | None:
    """Table of the model's factors, None without one."""
    entry = adata.uns.get(slots.uns) if slots is not None else None
    table = entry.get(Slots.factors) if isinstance(entry, Mapping) else None
    return table if isinstance(table, pd.DataFrame) else None


def inactive_factors(adata: AnnData, key: str, n: int) -> NDArray[np.bool_]:
    """Which of ``n`` factors the table of the model says are not active, shape (factors,)."""
    table = factor_table(adata, Slots(key))
    if table is None or len(table) != n or "active" not in table:
        return np.zeros(n, dtype=bool)
    return ~table["active"].to_numpy(dtype=bool)


def store(adata: AnnData, key: str, entry: str, value: dict) -> None:
    """Write one entry of ``uns[key]`` and leave the others as they are."""
    slots = Slots(key)
    before = adata.uns.get(slots.uns, {})
    if not isinstance(before, Mapping):
        rule = f"adata.uns[{slots.uns!r}] must hold results of distaff, or nothing"
        raise error(rule, got=type(before).__name__, fix="Choose another key.", kind=TypeError)
    adata.uns[slots.uns] = {**before, entry: value}
