"""Cells coloured by a value or a class, as the figures share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, is_color_like
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff.pl._figure import MISSING, OKABE_ITO, SEQUENTIAL, SIGNED, SMALL, scatter, wrap

__all__ = [
    "MAX_LEGEND",
    "NAME",
    "category_colors",
    "draw_classes",
    "draw_values",
    "is_numeric",
    "label_classes",
    "legend_beside",
    "legend_lines",
    "room_beside",
]

CLIP = (1, 99)  # percentiles beyond which colours stop, so that outliers do not bleach the rest
MAX_LEGEND = 12  # classes
NAME = 18  # characters of a line of a legend
LETTER, LINE = 0.064, 0.16  # inches of a letter and of a line in a legend beside the panels
MARK, HEAD = 0.45, 0.35  # inches of the colours beside its names and of the title above them


def draw_values(
    ax: Axes,
    values: NDArray[np.float64],
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
    *,
    factor: bool = False,
) -> None:
    """Colour by value; cells without one are grey and lie below.

    The colours of a ``factor`` that falls below 0 are two around 0: there it is off, or neither way.
    """
    known = np.isfinite(values)
    if not known.any():
        scatter(ax, points, size=size, color=MISSING)
        return
    low, high = np.percentile(values[known], CLIP)
    if low == high:  # most cells share one value: colours must still show the others
        low, high = values[known].min(), values[known].max()
    colors: Any = SEQUENTIAL
    if factor and low < 0:
        low, high = -max(-low, high), max(-low, high)
        colors = SIGNED
    if not known.all():
        scatter(ax, points[~known], size=size, color=MISSING)
    shown = order[known[order]]
    drawn = scatter(ax, points[shown], size=size, c=values[shown], cmap=colors, vmin=low, vmax=high)
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02, ticks=MaxNLocator(3))
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is drawn as numbers; truth values are classes."""
    return bool(pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype))


def category_colors(column: pd.Series, uns: Mapping[str, Any]) -> list[Any]:
    """Colours of the classes of a column, in their order.

    Those of scanpy, one for each category, where ``uns`` holds them; else Okabe and Ito's eight, for more
    classes evenly from a map.
    """
    _, classes = pd.factorize(column, sort=True)
    known = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else classes
    stored = uns.get(f"{column.name}_colors")
    colors = list(stored) if isinstance(stored, list | tuple | np.ndarray) else []
    if len(colors) == len(known) and all(map(is_color_like, colors)):
        return [colors[i] for i in pd.Index(known).get_indexer(pd.Index(classes))]
    if len(classes) <= len(OKABE_ITO):
        return list(OKABE_ITO[: len(classes)])
    return list(mpl.colormaps["turbo"](np.linspace(0.03, 0.97, len(classes))))


def draw_classes(
    ax: Axes,
    column: pd.Series,
    colors: list[Any],
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
    *,
    below: float = -0.08,
    max_listed: int = MAX_LEGEND,
) -> None:
    """Colour by class, with a legend so far ``below`` the panel unless there are more than ``max_listed``."""
    codes, classes = pd.factorize(column, sort=True)
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
        label_classes(ax, classes, colors)
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


def label_classes(ax: Axes, classes: Iterable[Any], colors: list[Any]) -> None:
    """What a legend of the classes shows."""
    for label, color in zip(classes, colors, strict=True):
        ax.plot([], [], "o", color=color, label=wrap(str(label), NAME), markersize=4)


def legend_lines(column: pd.Series, max_listed: int = MAX_LEGEND) -> int:
    """Lines of the legend of :func:`draw_classes`, which has two columns; 0 where nothing is listed."""
    _, classes = pd.factorize(column, sort=True)
    if len(classes) > max_listed:
        return 0
    lines = [1 + wrap(str(label), NAME).count("\n") for label in classes]
    half = -(-len(lines) // 2)
    return max(sum(lines[:half]), sum(lines[half:]))


def room_beside(labels: Sequence[str], title: str, height: float) -> tuple[int, float]:
    """Columns of a legend of these labels beside panels of so many inches, and their width in inches."""
    if not labels:
        return 0, 0.0
    lines = [1 + label.count("\n") for label in labels]
    n = 1
    while n < len(lines) and LINE * max(map(sum, np.array_split(lines, n))) + HEAD > height:
        n += 1
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return n, max(n * (MARK + LETTER * longest), LETTER * min(len(title), NAME))


def legend_beside(ax: Axes, title: str, n_columns: int) -> None:
    """Legend of what is labelled in a panel, on the right of all panels."""
    ax.figure.legend(
        *ax.get_legend_handles_labels(),
        loc="outside right upper",
        ncols=n_columns,
        title=wrap(title, NAME),
        fontsize=SMALL,
        title_fontsize=SMALL,
        frameon=False,
    )
