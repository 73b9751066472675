"""Each factor on an embedding, beside the dimension that stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray
from scipy.sparse import issparse

from distaff._checks import check_int, check_number
from distaff._keys import DEFAULT_KEY
from distaff.pl._cells import category_colors, draw_classes, draw_values, legend_lines
from distaff.pl._figure import (
    BACKGROUND,
    HIGHLIGHT,
    MISSING,
    SMALL,
    TEXT,
    finish,
    new_figure,
    point_size,
    scatter,
    settle,
    wrap,
)
from distaff.pl._read import Scored, embedding, read_scores

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["latent"]

PAIR = (4.9, 2.5)  # inches of a factor with its dimension
LEGEND_LINE = 0.16  # inches
LABEL_3D = -14.0  # points from where the names of a box's edges stand, which leave room for ticks
RARE = 0.1  # share of the cells


def latent(
    adata: AnnData,
    factors: str | Sequence[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
    basis: str | None = None,
    metric: str = "max_spearman",
    n_columns: int | None = None,
    size: float | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Each factor on an embedding, beside the value of the dimension that stands for it best.

    On the left the cells that should be told apart are highlighted (cells without a label are the palest); on
    the right, the same cells by their value in the best dimension, with its name and score. Colours stop at
    the 1st and the 99th percentile; those of a dimension that falls below 0 are two, on either side of 0.

    Parameters
    ----------
    adata
        Annotated data with the scores of :func:`distaff.tl.disentanglement` and an embedding.
    factors
        Rows of the scores, or columns of ``obs`` or tables of ``obsm`` for all their rows; None for all.
    key
        Prefix of the slots.
    basis
        Slot of ``obsm`` to draw on, with or without ``"X_"``, or the end of one of this key: "tsne" for
        ``X_{key}_tsne`` where there is no ``X_tsne``. None for ``X_{key}_umap``. One with just three columns
        is drawn in 3-D, of others the first two.
    metric
        Metric that chooses the dimension.
    n_columns
        Factors side by side; None for up to three, by their number.
    size
        Area of a cell in square points; None to go by the number of cells.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (factors, 2) of axes.

    Raises
    ------
    KeyError
        If the scores, a factor or the embedding is missing.
    ValueError
        If the metric is defined for none of the factors, or the embedding has no two columns.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`, figures 1D and 2E.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(obs={"condition": np.repeat(["ctrl", "stim"], 200)})
    >>> adata.obsm["X_distaff"] = rng.normal(size=(400, 3)) + np.eye(3)[np.repeat([0, 1], 200)]
    >>> adata.obsm["X_umap"] = rng.normal(size=(400, 2))
    >>> tl.disentanglement(adata, "condition")
    >>> pl.latent(adata, basis="umap").shape
    (1, 2)
    """
    scored = read_scores(adata, key, metric)
    points, basis_name = embedding(adata, key, basis)
    rows = scored.choose(factors if factors is None or isinstance(factors, str) else list(factors))
    if n_columns is None:
        n_columns = 1 if len(rows) <= 3 else 2 if len(rows) <= 12 else 3
    n_columns = min(check_int("n_columns", n_columns, minimum=1), len(rows))
    n_lines = -(-len(rows) // n_columns)
    legends = [_legend_lines(adata, scored, row) for row in rows]
    height = sum(
        PAIR[1] + LEGEND_LINE * max(legends[i : i + n_columns]) for i in range(0, len(rows), n_columns)
    )
    figure = new_figure(PAIR[0] * n_columns, height)
    projection = {"projection": "3d" if points.shape[1] == 3 else None}
    grid = figure.subplots(n_lines, 2 * n_columns, squeeze=False, subplot_kw=projection)
    axes = np.empty((len(rows), 2), dtype=object)
    size = point_size(len(points)) if size is None else check_number("size", size, above=0)
    order = np.random.default_rng(0).permutation(len(points))  # no group lies on top because it comes last
    for i, row in enumerate(rows):
        line, column = divmod(i, n_columns)
        axes[i] = grid[line, 2 * column : 2 * column + 2]
        _draw_factor(axes[i, 0], adata, scored, row, points, order, size)
        _draw_dimension(axes[i, 1], adata, scored, row, points, order, size)
    for ax in grid.ravel()[2 * len(rows) :]:
        ax.set_axis_off()
    _name_axes(axes[0, 0], basis_name)
    settle(figure)
    finish(figure, show=show, save=save)
    return axes


def _name_axes(ax: Any, basis: str) -> None:
    """Name the dimensions of the embedding, at the ends of a plane and along the edges of a box."""
    if ax.name == "3d":
        ax.set_xlabel(f"{basis} 1", fontsize=SMALL, labelpad=LABEL_3D)
        ax.set_ylabel(f"{basis} 2", fontsize=SMALL, labelpad=LABEL_3D)
        ax.set_zlabel(f"{basis} 3", fontsize=SMALL, labelpad=LABEL_3D)
        return
    ax.set_xlabel(f"{basis} 1", fontsize=SMALL, loc="left")
    ax.set_ylabel(f"{basis} 2", fontsize=SMALL, loc="bottom")


def _draw_factor(
    ax: Axes,
    adata: AnnData,
    scored: Scored,
    row: str,
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
) -> None:
    info = scored.factors.loc[row]
    column = _source(adata, info)
    title = wrap(str(info["label"]))
    if info["kind"] == "continuous":
        draw_values(ax, column.to_numpy(dtype=np.float64, na_value=np.nan), points, order, size)
        note = f"{int(info['n_cells']):,} cells"
    elif info["class"]:
        hit = _in_class(column, str(info["class"]))
        _draw_class(ax, hit, column.isna().to_numpy(), points, order, size)
        if not str(info["label"]).endswith(str(info["class"])):
            title = wrap(f"{info['label']}: {info['class']}")
        note = f"{int(hit.sum()):,} of {int(info['n_cells']):,} cells"
    else:
        draw_classes(ax, column, category_colors(column, adata.uns), points, order, size)
        note = f"{int(info['n_cells']):,} cells"
    ax.set_title(f"{title}\n{note}", fontsize=TEXT)


def _draw_dimension(
    ax: Axes,
    adata: AnnData,
    scored: Scored,
    row: str,
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
) -> None:
    dimension = str(scored.best[row])
    if not dimension:
        scatter(ax, points, size=size, color=MISSING)
        ax.set_title("no dimension\ntells anything", fontsize=TEXT)
        return
    draw_values(ax, scored.values(adata, dimension), points, order, size, factor=True)
    ax.set_title(f"{wrap(dimension)}\n{scored.metric_label} = {scored.scores[row]:.2f}", fontsize=TEXT)


def _draw_class(
    ax: Axes,
    hit: NDArray[np.bool_],
    missing: NDArray[np.bool_],
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
) -> None:
    """Highlight a class: on top where it is rare, else mixed with the rest, which it would hide."""
    if hit.mean() < RARE:
        order = np.concatenate([order[~hit[order]], order[hit[order]]])
    colors = ListedColormap([MISSING, BACKGROUND, HIGHLIGHT])
    codes = np.where(missing, 0, 1 + hit.astype(int))
    scatter(ax, points[order], size=size, c=codes[order], cmap=colors, vmin=0, vmax=2)
    if points.shape[1] == 3 and hit.mean() < RARE:  # a box sorts its cells by depth
        scatter(ax, points[hit], size=size, color=HIGHLIGHT)


def _legend_lines(adata: AnnData, scored: Scored, row: str) -> int:
    """Lines of the legend below the panel."""
    info = scored.factors.loc[row]
    return legend_lines(_source(adata, info)) if info["kind"] == "categorical" else 0


def _source(adata: AnnData, info: pd.Series) -> pd.Series:
    """Labels of the cells as they stand in ``adata``."""
    name, column = str(info["name"]), str(info["column"])
    if info["slot"] == "obs":
        return adata.obs[name]
    stored = adata.obsm[name]
    if isinstance(stored, pd.DataFrame):
        return stored[{str(label): label for label in stored.columns}[column]]
    number = int(column.removeprefix(f"{name} ")) - 1  # the name that the tool gave an unnamed column
    part = stored[:, [number]]
    return pd.Series(np.asarray(part.toarray() if issparse(part) else part).ravel(), index=adata.obs_names)


def _in_class(column: pd.Series, label: str) -> NDArray[np.bool_]:
    """Cells of a class; numbers are compared as numbers, since 1 reads 1.0 where labels are missing."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan) == float(label)
    return (column.astype(object).map(str) == label).to_numpy(dtype=bool)
