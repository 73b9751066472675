"""A table of scores as the aggregations over dimensions read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error
from distaff.metrics._contract import best_rows
from distaff.metrics._score import Score

__all__ = ["aggregate", "read_table"]


def read_table(matrix: Any) -> tuple[Score, NDArray[np.float64], NDArray[np.bool_]]:
    """Return ``matrix`` as a result, its values (dimensions, factors), and which factors are defined."""
    base = matrix if isinstance(matrix, Score) else _bare(_table(matrix))
    values = base.matrix.to_numpy(dtype=np.float64)
    if 0 in values.shape:
        raise error("matrix must have at least one dimension and one factor", got=f"shape {values.shape}")
    return base, values, np.isfinite(values).all(axis=0)


def _table(matrix: Any) -> pd.DataFrame:
    """Return a bare matrix as a table; sparse ones and complex numbers are none."""
    values = np.asarray(matrix)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        got = f"shape {values.shape}, dtype {values.dtype}"
        raise error("matrix must be a dense table of real numbers (dimensions, factors)", got=got)
    return matrix if isinstance(matrix, pd.DataFrame) else pd.DataFrame(values)


def aggregate(
    name: str, base: Score, per_factor: NDArray[np.float64], *, best: pd.Series | None = None
) -> Score:
    """Result ``base`` with another score of each factor, NaN where it is undefined.

    ``best`` is the dimension that serves each factor; None for the one with the largest value.
    """
    defined = ~np.isnan(per_factor)
    if best is None:
        best = best_rows(base.matrix.where(np.broadcast_to(defined, base.matrix.shape)))
    return replace(
        base,
        name=name,
        value=float(per_factor[defined].mean()) if defined.any() else float("nan"),
        per_factor=pd.Series(per_factor, index=base.matrix.columns, name=name),
        best_dimension=best,
        params={**base.params, "matched": base.name},
        per_dimension=pd.DataFrame(),
        summary={},
    )


def _bare(table: pd.DataFrame) -> Score:
    """A matrix of unknown origin as a result, to be filled in."""
    zeros = pd.Series(0, index=table.columns)
    nothing = pd.Series(np.nan, index=table.columns)
    return Score("matrix", np.nan, nothing, table, nothing, zeros, zeros, pd.DataFrame(index=table.columns))
