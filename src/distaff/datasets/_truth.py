"""What all simulators say of the data beside the counts: names, parameters, a warning of empty cells."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from distaff._checks import error

__all__ = ["numbered", "record", "warn_empty_cells"]


def numbered(word: str, n: int) -> list[str]:
    """Names ``word_1``, ``word_2``, ..."""
    return [f"{word}_{i}" for i in range(1, n + 1)]


def record(simulator: str, params: dict[str, Any]) -> dict[str, Any]:
    """What ``uns`` says about the simulation."""
    return {
        "simulator": simulator,
        "params": {name: value for name, value in params.items() if name != "random_state"},
        "random_state": params["random_state"],
        "version": version("distaff"),
    }


def warn_empty_cells(X: csr_matrix, *, fix: str, stacklevel: int = 3) -> None:
    """Warn of cells without counts, which no model takes; ``fix`` says what else helps."""
    n_empty = int((np.diff(X.indptr) == 0).sum())
    if n_empty:
        message = error(
            "every cell must have counts to be used by a model",
            got=f"{n_empty} of {X.shape[0]} cells without any",
            fix=f"Remove them with scanpy.pp.filter_cells(adata, min_counts=1), or {fix}.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=stacklevel)
