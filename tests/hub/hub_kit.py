"""What the tests of sharing have in common."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import distaff as ds

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from make_saved_models import MODELS, SAVED, SETS, cells_of, class_of, fitted, tiny_data

sys.path.pop(0)

__all__ = [
    "NAMES",
    "SAVED",
    "SETS",
    "assert_maps_a_query",
    "cells_of",
    "class_of",
    "files_of",
    "fitted",
    "tiny_data",
]

NAMES = [name for name in MODELS if name != "BetaVAE_hub"]  # one for each class, and two more


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def assert_maps_a_query(model, query):
    """New cells are mapped, and their factors told."""
    mapped = type(model).load_query_data(query, model, accelerator="cpu")
    mapped.train(1, seed=0, batch_size=12, accelerator="cpu", enable_progress_bar=False)
    ds.tl.latent(query, mapped)
    ds.tl.factors(query, mapped)
    table = query.uns["distaff"]["factors"]
    assert list(table.index) == list(model.factor_names)
    assert np.isfinite(table["variance_explained"]).all()
    return table
