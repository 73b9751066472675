"""The contract that all metrics keep, written once.

``Z`` is finite. Cells without a label are left out factor by factor, and counted. A dimension that is
constant over the cells used scores nothing, never NaN. A factor with fewer than two cells or values scores
NaN with a warning, and does not count in the mean.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, listing
from distaff.metrics._factors import Factor, Kinds, parse_factors
from distaff.metrics._score import Score

__all__ = ["Block", "Problem", "best_rows", "parse", "parse_latent", "summarise", "warn"]

NEGLIGIBLE_VARIANCE = 1e-12  # share of the largest variance below which a dimension counts as constant
INNER = (0.05, 0.95)  # quantiles that bound the bulk of the cells
INNER_WIDTH = 3.29  # their distance in a normal distribution, in standard deviations


@dataclass(frozen=True, eq=False)
class Block:
    """Factors that are labelled in the same cells, so that one pass over ``Z`` serves them all.

    Parameters
    ----------
    factors
        Their places in the list of all factors.
    rows
        (cells,) whether a cell is labelled.
    Z
        (labelled cells, dimensions)
    constant
        (dimensions,) whether the dimension is constant over these cells.
    """

    factors: list[int]
    rows: NDArray[np.bool_]
    Z: NDArray[np.float64]
    constant: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Problem:
    """A latent and the factors to find in it.

    Parameters
    ----------
    Z
        (cells, dimensions)
    dimensions
        Names of the dimensions, or positions from 0.
    factors
        Parsed factors.
    """

    Z: NDArray[np.float64]
    dimensions: pd.Index
    factors: list[Factor]

    def blocks(self) -> Iterator[Block]:
        """Factors that can be scored, grouped by their labelled cells."""
        groups: dict[bytes, list[int]] = {}
        for i, factor in enumerate(self.factors):
            if not factor.constant:
                groups.setdefault(np.packbits(factor.labelled).tobytes(), []).append(i)
        for members in groups.values():
            rows = self.factors[members[0]].labelled
            Z = self.Z if rows.all() else self.Z[rows]
            yield Block(members, rows, Z, constant_columns(Z))

    def used(self) -> NDArray[np.bool_]:
        """(cells,) whether a factor that can be scored is labelled there."""
        labelled = [factor.labelled for factor in self.factors if not factor.constant]
        return np.any(labelled, axis=0) if labelled else np.ones(len(self.Z), dtype=bool)

    def values(self, index: int, block: Block) -> NDArray[Any]:
        """Labels of factor ``index`` in the cells of ``block``."""
        return self.factors[index].values[block.rows]


def parse(Z: Any, Y: Any, kinds: Kinds, *, one_vs_rest: bool) -> Problem:
    """Check the input of a metric once; ``one_vs_rest`` splits factors with more than two classes."""
    values, dimensions = parse_latent(Z)
    if (
        isinstance(Z, pd.DataFrame)
        and isinstance(Y, pd.DataFrame | pd.Series)
        and not Z.index.equals(Y.index)
    ):
        raise error("Z and Y must have the same index", got="cells in another order, or other cells")
    factors = parse_factors(Y, len(values), kinds)
    if one_vs_rest:
        factors = [part for factor in factors for part in factor.one_vs_rest()]
        names = [factor.name for factor in factors]
        if len(set(names)) < len(names):
            raise error("Names of factors and classes must differ", got=f"a repeated one in {listing(names)}")
    return Problem(values, dimensions, factors)


def parse_latent(Z: Any) -> tuple[NDArray[np.float64], pd.Index]:
    """Return ``Z`` (cells, dimensions) as finite floats, and the names of its dimensions."""
    values = np.asarray(Z)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        got = f"shape {values.shape}, dtype {values.dtype}"
        raise error("Z must be a dense table of real numbers (cells, dimensions)", got=got)
    if values.shape[0] == 0 or values.shape[1] == 0:
        raise error("Z must have at least one cell and one dimension", got=f"shape {values.shape}")
    values = values.astype(np.float64, copy=False)
    index = Z.index if isinstance(Z, pd.DataFrame) else range(len(values))
    dimensions = Z.columns if isinstance(Z, pd.DataFrame) else pd.RangeIndex(values.shape[1])
    if not dimensions.is_unique:
        raise error("Names of the dimensions must differ", got=listing(dimensions))
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise error(
            "Z must be finite",
            got=f"{values[row, column]} in cell {index[row]!r}, dimension {dimensions[column]!r}",
            fix=f"{int(bad.any(axis=1).sum())} cells are concerned.",
        )
    return values, dimensions


def constant_columns(Z: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(dimensions,) whether a column does not vary, or by a rounding error beside the others.

    The others count by their inner 90 %, lest one extreme cell of one column make the rest look constant.
    """
    variance = Z.var(axis=0)
    low, high = np.quantile(Z, INNER, axis=0)
    scale = ((high - low) / INNER_WIDTH) ** 2
    largest = scale.max() if scale.any() else variance.max()
    return (np.ptp(Z, axis=0) == 0) | (variance <= NEGLIGIBLE_VARIANCE * largest)


def best_rows(matrix: pd.DataFrame, *, floor: float | NDArray[np.float64] = 0.0) -> pd.Series:
    """Row of the largest value of each column, None where nothing is above ``floor`` (of the column)."""
    values = matrix.to_numpy()
    scores = np.where(np.isnan(values), -np.inf, values)
    rows = scores.argmax(axis=0)
    found = scores.max(axis=0) > floor
    best = [matrix.index[row] if ok else None for row, ok in zip(rows, found, strict=True)]
    return pd.Series(best, index=matrix.columns, dtype=object, name="best_dimension")


def summarise(
    name: str,
    problem: Problem,
    matrix: NDArray[np.float64],
    per_factor: NDArray[np.float64],
    *,
    params: dict[str, Any],
    details: dict[str, Any] | None = None,
    floor: float | NDArray[np.float64] = 0.0,
    summary: dict[str, float] | None = None,
) -> Score:
    """Build the result: names, means, counts, and a warning that names the factors without a score."""
    factors = pd.Index([factor.name for factor in problem.factors], name="factor")
    table = pd.DataFrame(matrix, index=problem.dimensions, columns=factors)
    scores = pd.Series(per_factor, index=factors, name=name)
    undefined = scores.index[scores.isna()]
    if len(undefined):
        warn(
            f"{name} is undefined (NaN) for {listing(undefined)}, and left out of the mean: "
            "fewer than two cells or values."
        )
    n_cells = pd.Series([int(f.labelled.sum()) for f in problem.factors], index=factors, name="n_cells")
    kinds = pd.Series([f.kind for f in problem.factors], index=factors)
    return Score(
        name=name,
        value=float(scores.mean()) if len(undefined) < len(scores) else float("nan"),
        per_factor=scores,
        matrix=table,
        best_dimension=best_rows(table, floor=floor),
        n_cells=n_cells,
        n_missing=(len(problem.Z) - n_cells).rename("n_missing"),
        details=pd.DataFrame({"kind": kinds, **(details or {})}, index=factors),
        params=params,
        summary=summary or {},
    )


def warn(message: str) -> None:
    """Warn at the line that called the metric."""
    warnings.warn(message, UserWarning, stacklevel=_stacklevel())


def _stacklevel() -> int:
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("distaff."):
        frame, level = frame.f_back, level + 1
    return level
