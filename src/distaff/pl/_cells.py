"""Cells coloured by a value or a class, as the figures share it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff.pl._figure import MISSING, SEQUENTIAL, SMALL, category_colors, scatter, wrap

__all__ = ["MAX_LEGEND", "draw_classes", "draw_values", "is_numeric", "legend_lines"]

CLIP = (1, 99)  # percentiles beyond which colours stop, so that outliers do not bleach the rest
MAX_LEGEND = 12  # classes
NAME = 18  # characters of a line of a legend


def draw_values(
    ax: Axes, values: NDArray[np.float64], points: NDArray[Any], order: NDArray[np.int64], size: float
) -> None:
    """Colour by value; cells without one are grey and lie below."""
    known = np.isfinite(values)
    if not known.any():
        scatter(ax, points, size=size, color=MISSING)
        return
    low, high = np.percentile(values[known], CLIP)
    if low == high:  # most cells share one value: colours must still show the others
        low, high = values[known].min(), values[known].max()
    if not known.all():
        scatter(ax, points[~known], size=size, color=MISSING)
    shown = order[known[order]]
    drawn = scatter(ax, points[shown], size=size, c=values[shown], cmap=SEQUENTIAL, vmin=low, vmax=high)
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02, ticks=MaxNLocator(3))
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is drawn as numbers; truth values are classes."""
    return bool(pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype))


def draw_classes(
    ax: Axes,
    column: pd.Series,
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
    *,
    below: float = -0.08,
    max_listed: int = MAX_LEGEND,
) -> None:
    """Colour by class, with a legend so far ``below`` the panel unless there are more than ``max_listed``."""
    codes, classes = pd.factorize(column, sort=True)
    colors = category_colors(len(classes))
    scatter(ax, points[codes < 0], size=size, color=MISSING)
    shown = order[codes[order] >= 0]
    scatter(
        ax,
        points[shown],
        size=size,
        c=codes[shown],
        cmap=ListedColormap(colors),
        vmin=0,
        vmax=max(len(colors) - 1, 1),
    )
    if len(classes) <= max_listed:
        for label, color in zip(classes, colors, strict=True):
            ax.plot([], [], "o", color=color, label=wrap(str(label), NAME), markersize=4)
        # below the panel: beside it, the legend would push all panels of the column aside
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, below),
            ncols=2,
            fontsize=SMALL - 1,
            frameon=False,
            handletextpad=0.1,
            columnspacing=0.8,
        )


def legend_lines(column: pd.Series, max_listed: int = MAX_LEGEND) -> int:
    """Lines of the legend of :func:`draw_classes`, which has two columns; 0 where nothing is listed."""
    _, classes = pd.factorize(column, sort=True)
    if len(classes) > max_listed:
        return 0
    lines = [1 + wrap(str(label), NAME).count("\n") for label in classes]
    half = -(-len(lines) // 2)
    return max(sum(lines[:half]), sum(lines[half:]))
