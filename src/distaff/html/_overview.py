"""What the page says of the data, the model and its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import real_values
from distaff._keys import Slots
from distaff.html._encode import numbers
from distaff.html._factors import stored_entry
from distaff.pl.history import PANELS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["number_modelled", "training_curves", "what_was_run"]

MAX_POINTS = 400  # of a curve


def number_modelled(adata: AnnData, key: str) -> int:
    """How many genes the model knows: a file may have more, without a value in the tables of genes."""
    slots = Slots(key)
    if slots.genes in adata.var:
        return int(adata.var[slots.genes].sum())
    for table in (slots.loadings, slots.traversal):
        if table in adata.varm:
            values = real_values(f"adata.varm[{table!r}]", adata.varm[table])
            return int(np.isfinite(values).all(axis=1).sum())
    return adata.n_vars


def what_was_run(adata: AnnData, key: str) -> dict[str, Any] | None:
    """Model, its parameters and the versions, as text; None without ``params``."""
    params = stored_entry(adata, key, Slots.params)
    if not isinstance(params, Mapping):
        return None
    texts = {str(name): str(value) for name, value in params.items()}
    versions = {name: texts.pop(name) for name in sorted(texts) if name.endswith("_version")}
    return {
        "model": texts.pop("model", ""),
        "params": sorted(texts.items()),
        "versions": list(versions.items()),
    }


def training_curves(adata: AnnData, key: str) -> list[dict[str, Any]]:
    """Loss, reconstruction, KL and active units, those that there are."""
    curves = stored_entry(adata, key, Slots.history)
    if not isinstance(curves, pd.DataFrame):
        return []
    panels = []
    for title, unit, train, validation in PANELS:
        lines = {"training": _line(curves, train), "validation": _line(curves, validation)}
        found = [{"name": name, **line} for name, line in lines.items() if line is not None]
        if found:
            panels.append({"title": title, "unit": unit, "lines": found})
    return panels


def _line(curves: pd.DataFrame, names: tuple[str, ...]) -> dict[str, Any] | None:
    """First of the curves that holds a value, thinned evenly if it is long."""
    for name in names:
        if name in curves and curves[name].notna().any():
            curve = curves[name].dropna().astype(float)
            chosen = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), MAX_POINTS)).astype(int))
            epochs = pd.to_numeric(curve.index.to_series())  # files may have turned them into text
            return {"x": numbers(epochs.iloc[chosen]), "y": numbers(curve.iloc[chosen])}
    return None
