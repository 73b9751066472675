"""Groups of cells, and how the values of each factor are distributed in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_obs_column, error, name_list
from distaff._keys import Slots
from distaff.html._encode import numbers, packed
from distaff.html._factors import Factors, stored_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["group_columns", "grouped_cells"]

MAX_COLUMNS = 6  # of obs, where nobody chose any
MAX_CLASSES = 40  # of a column; the largest ones
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NO_CLASS = 255


def group_columns(adata: AnnData, key: str, groupby: str | Sequence[str] | None) -> list[str]:
    """Columns of ``obs``: those asked for, or those that the stored tests and scores were made with."""
    if groupby is None:
        return _used_columns(adata, key)[:MAX_COLUMNS]
    names = name_list("groupby", groupby)
    for name in names:
        column = check_obs_column(adata, name, name="groupby")
        if column.dtype.kind == "f" and (column.dropna() % 1 != 0).any():
            got = f"numbers that are not whole in adata.obs[{name!r}]"
            raise error("groupby must name columns with groups", got=got, fix="Cut them into bins first.")
    return names


def grouped_cells(adata: AnnData, column: str, factors: Factors, drawn: NDArray[np.int64]) -> dict[str, Any]:
    """Classes of a column, the class of each drawn cell, and quantiles (factors, classes, 5) of all cells."""
    codes, classes = pd.factorize(adata.obs[column], sort=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(classes))
    kept = np.sort(np.argsort(-counts, kind="stable")[:MAX_CLASSES])
    place = np.full(len(classes) + 1, NO_CLASS, dtype=np.uint8)  # the last is for cells without a class
    place[kept] = np.arange(len(kept))
    own = place[codes]
    quantiles = np.array(
        [np.quantile(factors.values[:, own == i], QUANTILES, axis=1).T for i in range(len(kept))]
    )
    return {
        "name": column,
        "classes": [str(classes[i]) for i in kept],
        "counts": counts[kept].tolist(),
        "n_classes": len(classes),
        "n_missing": int((codes < 0).sum()),
        "codes": packed(own[drawn]),
        "quantiles": [numbers(of_factor.ravel()) for of_factor in quantiles.swapaxes(0, 1)]
        if len(kept)
        else [],
    }


def _used_columns(adata: AnnData, key: str) -> list[str]:
    names: list[str] = []
    tested = stored_entry(adata, key, Slots.rank_factors)
    if isinstance(tested, Mapping):
        names.append(str(tested["params"]["groupby"]))
    scored = stored_entry(adata, key, Slots.disentanglement)
    if isinstance(scored, Mapping):
        table = scored["factors"]
        of_classes = (table["slot"].astype(str) == "obs") & (table["kind"].astype(str) != "continuous")
        names += table.loc[of_classes, "name"].astype(str).tolist()
    return [name for name in dict.fromkeys(names) if name in adata.obs]
