"""Cells in the plane of two factors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff._checks import check_int, check_number, check_obs_column, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._cells import category_colors, draw_classes, draw_values, is_numeric, legend_lines
from distaff.pl._factors import choose, factor_values, read_factors
from distaff.pl._figure import (
    BACKGROUND,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    point_size,
    scatter,
    settle,
    wrap,
)

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["terms"]

PANEL = 2.8  # inches
SIDE = 0.5  # inches of numbers and label of the vertical axis
TITLE = 0.65  # inches of title and label of the axis
LEGEND_LINE = 0.17  # inches
LEGEND_OFFSET = -0.2  # below the label of the axis
LABEL_LINE = 0.16  # inches of a line of the label or the title
MAX_COLUMNS = 3
MAX_LISTED = 24  # classes in the legend: there is room below a panel of this size
COLOR = "#0072B2"  # of cells that are not coloured by anything


def terms(
    adata: AnnData,
    factors: Sequence[str] | None = None,
    *,
    color: str | Sequence[str] | None = None,
    key: str = DEFAULT_KEY,
    n_columns: int | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Cells by their values of two factors, one panel for each column that colours them.

    Factors are turned in their ``direction``, so that a gene set is up on the right and at the top. Cells
    without a label are the palest; the colours of numbers stop at the 1st and the 99th percentile.

    Parameters
    ----------
    adata
        Annotated data with the latent and the table of :func:`distaff.tl.factors`.
    factors
        Names of two factors, to the right and up; None for the first two ranks.
    color
        Columns of ``obs``; numbers are drawn as such, all else as classes.
    key
        Prefix of the slots.
    n_columns
        Panels side by side; None for up to three.
    size
        Area of a cell in square points; None to go by the number of cells.
    ax
        Axes for one panel; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (panels,) of axes.

    Raises
    ------
    KeyError
        If the table, the latent, a factor or a column is missing.
    ValueError
        If the factors are not two, or ``ax`` is given for several panels.

    References
    ----------
    Rybakov et al. (2020), :cite:p:`Rybakov20`, figure 1.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> adata.obs["condition"] = np.repeat(["ctrl", "stim"], 50)
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> tl.factors(adata)
    >>> pl.terms(adata, ["Factor 1", "Factor 3"], color="condition")[0].get_xlabel()
    'Factor 1'
    """
    check_axes(ax)
    table = read_factors(adata, key)
    names = choose(table, factors, default=2)
    if len(names) != 2:
        raise error("factors must name two different factors", got=", ".join(map(repr, names)))
    points = factor_values(adata, key, table, names)
    columns = [color] if isinstance(color, str) or not isinstance(color, Iterable) else list(color)
    labels = [None if name is None else check_obs_column(adata, name, name="color") for name in columns]
    if not columns or (ax is not None and len(columns) > 1):
        raise error("color must name one column for each panel", got=f"{len(columns)} columns")
    size = point_size(len(points)) if size is None else check_number("size", size, above=0)
    below = wrap(names[0], 40)
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(labels, n_columns, below)
    for panel, column in zip(axes, labels, strict=True):
        _draw(panel, points, column, size, below, adata.uns)
        panel.set_xlabel(below, fontsize=TEXT)
        panel.set_ylabel(wrap(names[1], 36), fontsize=TEXT)
    if ax is None:
        settle(axes[0].figure)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _new_axes(labels: list[pd.Series | None], n_columns: int | None, below: str) -> NDArray[Any]:
    default = min(len(labels), MAX_COLUMNS)
    n_columns = default if n_columns is None else check_int("n_columns", n_columns, minimum=1)
    n_lines = -(-len(labels) // n_columns)
    named = [column for column in labels if column is not None]
    legends = [legend_lines(column, MAX_LISTED) for column in named if not is_numeric(column)]
    more = below.count("\n") + max((wrap(str(column.name)).count("\n") for column in named), default=0)
    height = PANEL + TITLE + LEGEND_LINE * max(legends, default=0) + LABEL_LINE * more
    figure = new_figure((PANEL + SIDE) * n_columns, height * n_lines)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[len(labels) :]:
        ax.set_axis_off()
    return axes[: len(labels)]


def _draw(
    ax: Axes,
    points: NDArray[np.float64],
    column: pd.Series | None,
    size: float,
    below: str,
    uns: Mapping[str, Any],
) -> None:
    order = np.random.default_rng(0).permutation(len(points))  # no group lies on top because it comes last
    if column is None:
        scatter(ax, points, size=size, color=COLOR)
    elif is_numeric(column):
        draw_values(ax, column.to_numpy(dtype=np.float64, na_value=np.nan), points, order, size)
    else:
        offset = LEGEND_OFFSET - LABEL_LINE / PANEL * below.count("\n")
        colors = category_colors(column, uns)
        draw_classes(ax, column, colors, points, order, size, below=offset, max_listed=MAX_LISTED)
    if column is not None:
        ax.set_title(wrap(str(column.name)), fontsize=TEXT)
    for axis, line in ((ax.xaxis, ax.axvline), (ax.yaxis, ax.axhline)):
        line(0.0, color=BACKGROUND, linewidth=0.6, zorder=0)
        axis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=SMALL, length=2)
