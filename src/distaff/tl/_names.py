"""Names of factors: those that the model gives, and those that a user gave in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from distaff._keys import Slots
from distaff.metrics._contract import constant_columns
from distaff.tl._representation import factor_table

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["model_names", "same_factors", "stored_names"]

SAME = 0.99  # correlation over cells: latents that are drawn, or of another device, differ by less


def model_names(model: Any, n: int) -> list[str]:
    """What the model calls its ``n`` factors; counted from 1 for models of others."""
    return [str(name) for name in getattr(model, "factor_names", [f"Factor {i + 1}" for i in range(n)])]


def stored_names(adata: AnnData, model: Any, slots: Slots, n: int) -> list[str] | None:
    """What the factors of the model are called in ``adata``.

    None if what is stored is of another class of model, or of one with other factors.
    """
    entry = adata.uns.get(slots.uns)
    if not isinstance(entry, Mapping) or Slots.model_names not in entry:
        return None
    own = model_names(model, n)
    stored = [str(name) for name in entry[Slots.model_names]]
    if entry[Slots.params].get("model") != type(model).__name__ or stored != own:
        return None
    table = factor_table(adata, slots)
    return own if table is None or len(table) != n else [str(name) for name in table.index]


def same_factors(old: Any, Z: NDArray[np.float32]) -> bool:
    """Whether each column of ``Z`` (cells, factors) is that of ``old``, but for noise."""
    if old is None or old.shape != Z.shape:
        return False
    before, after = np.asarray(old, dtype=np.float64), Z.astype(np.float64)
    still = constant_columns(before), constant_columns(after)
    if (still[0] != still[1]).any():
        return False
    centred = [values[:, ~still[0]] - values[:, ~still[0]].mean(axis=0) for values in (before, after)]
    scale = np.prod([np.linalg.norm(values, axis=0) for values in centred], axis=0)
    return bool(((centred[0] * centred[1]).sum(axis=0) >= SAME * scale).all())
