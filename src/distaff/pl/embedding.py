"""Each factor on an embedding of the cells, with the genes that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from textalloc import allocate

from distaff._checks import check_int, check_number, check_obs_column, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._cells import MAX_LEGEND, draw_classes, draw_values, is_numeric
from distaff.pl._factors import Choice, choose, factor_values, read_factors
from distaff.pl._figure import SMALL, TEXT, finish, literal, new_figure, point_size, shorten, wrap
from distaff.pl._read import embedding as read_embedding

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["embedding"]

PANEL = (2.7, 2.5)  # inches
DEFAULT = 12  # factors
MAX_COLUMNS = 4
REACH = 0.15  # share of the axes that the name of a group may stand from it
MAX_GENES = 30  # characters of a line of genes


def embedding(
    adata: AnnData,
    factors: Choice = None,
    *,
    color: str | None = None,
    key: str = DEFAULT_KEY,
    basis: str | None = None,
    n_genes: int = 3,
    n_columns: int | None = None,
    size: float | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Value of each factor in the cells, on an embedding, with its top genes.

    Factors are turned in their ``direction``. Colours stop at the 1st and the 99th percentile.

    Parameters
    ----------
    adata
        Annotated data with the latent, the table of :func:`distaff.tl.factors` and an embedding.
    factors
        Names of factors, or how many of the first ranks; None for up to twelve.
    color
        Column of ``obs`` for a panel before the factors: up to twelve groups have their names on the cells.
        None for no such panel.
    key
        Prefix of the slots.
    basis
        Slot of ``obsm`` to draw on, as in :func:`distaff.pl.latent`; None for ``X_{key}_umap``.
    n_genes
        Top genes below the name of a factor, as many as the table names; 0 for none.
    n_columns
        Panels side by side; None for up to four.
    size
        Area of a cell in square points; None to go by the number of cells.
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
        If the table, the latent, a factor, the column or the embedding is missing.
    ValueError
        If the embedding has no two columns, or the column holds no label.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(obs={"cell_type": np.repeat(["B", "T"], 50)})
    >>> adata.obsm["X_distaff"] = rng.normal(size=(100, 3))
    >>> adata.obsm["X_umap"] = rng.normal(size=(100, 2))
    >>> tl.factors(adata)
    >>> pl.embedding(adata, 2, color="cell_type", basis="umap").shape
    (3,)
    """
    table = read_factors(adata, key)
    names = choose(table, factors, default=DEFAULT)
    n_genes = check_int("n_genes", n_genes, minimum=0)
    column = None if color is None else _read_column(adata, color)
    points, basis_name = read_embedding(adata, key, basis)
    Z = factor_values(adata, key, table, names)
    size = point_size(len(points)) if size is None else check_number("size", size, above=0)
    order = np.random.default_rng(0).permutation(len(points))  # no group lies on top because it comes last
    axes = _new_axes(len(names) + (column is not None), n_columns, n_dimensions=points.shape[1])
    panels = axes if column is None else axes[1:]
    for ax, name, values in zip(panels, names, Z.T, strict=True):
        draw_values(ax, values, points, order, size)
        ax.set_title(_title(table, name, n_genes), fontsize=TEXT)
    if points.shape[1] == 2:
        axes[0].set_xlabel(f"{basis_name} 1", fontsize=SMALL, loc="left")
        axes[0].set_ylabel(f"{basis_name} 2", fontsize=SMALL, loc="bottom")
    if column is not None:
        axes[0].set_title(wrap(str(color)), fontsize=TEXT)
        _draw_column(axes[0], column, points, order, size)
    finish(axes[0].figure, show=show, save=save)
    return axes


def _read_column(adata: AnnData, color: str) -> pd.Series:
    column = check_obs_column(adata, color, name="color")
    if not column.notna().any():
        raise error(f"adata.obs[{color!r}] must hold a label", got="none")
    return column


def _new_axes(n: int, n_columns: int | None, *, n_dimensions: int) -> NDArray[Any]:
    n_columns = min(n, MAX_COLUMNS if n_columns is None else check_int("n_columns", n_columns, minimum=1))
    n_lines = -(-n // n_columns)
    figure = new_figure(PANEL[0] * n_columns, PANEL[1] * n_lines)
    projection = {"projection": "3d" if n_dimensions == 3 else None}
    axes = figure.subplots(n_lines, n_columns, squeeze=False, subplot_kw=projection).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def _title(table: pd.DataFrame, name: str, n_genes: int) -> str:
    """Name of the factor, and below it its genes where the table has them."""
    genes = str(table.at[name, "top_genes"]).split(", ")[:n_genes] if "top_genes" in table else []
    return "\n".join([wrap(name), *([shorten(", ".join(genes), MAX_GENES)] if any(genes) else [])])


def _draw_column(
    ax: Axes, column: pd.Series, points: NDArray[Any], order: NDArray[np.int64], size: float
) -> None:
    """Colour by the column: numbers with a bar, few groups with their names on the cells."""
    if is_numeric(column):
        draw_values(ax, column.to_numpy(dtype=np.float64, na_value=np.nan), points, order, size)
        return
    draw_classes(ax, column, points, order, size, max_listed=0)
    codes, classes = pd.factorize(column, sort=True)
    if len(classes) > MAX_LEGEND:
        return
    middles = np.array([_middle(points[codes == i]) for i in range(len(classes))])
    height: dict[str, Any] = {"z": middles[:, 2]} if points.shape[1] == 3 else {}
    names = [literal(str(label)) for label in classes]
    edge = [withStroke(linewidth=1.8, foreground="white")]
    ax.figure.canvas.figure.draw_without_rendering()  # the layout settles what fits where
    allocate(
        ax,
        middles[:, 0],
        middles[:, 1],
        names,
        textsize=SMALL - 1,
        min_distance=0.0,
        max_distance=REACH,
        draw_lines=False,
        path_effects=edge,
        **height,
    )


def _middle(points: NDArray[Any]) -> NDArray[Any]:
    """The cell next to the median of its group, which may itself lie among others."""
    away = np.square(points - np.median(points, axis=0)).sum(axis=1)
    return points[np.argmin(away)]
