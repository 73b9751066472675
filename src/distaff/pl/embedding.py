"""Each factor on an embedding of the cells, with the genes that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from distaff._checks import check_int, check_number, check_obs_column, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._cells import (
    NAME,
    category_colors,
    draw_classes,
    draw_values,
    is_numeric,
    label_classes,
    legend_beside,
    room_beside,
)
from distaff.pl._factors import Choice, choose, factor_values, read_factors
from distaff.pl._figure import SMALL, TEXT, finish, new_figure, point_size, settle, shorten, wrap
from distaff.pl._read import embedding as read_embedding

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["embedding"]

PANEL = (2.7, 2.5)  # inches
DEFAULT = 12  # factors
MAX_COLUMNS = 4
MAX_LISTED = 40  # groups; the colours of more tell nothing
GRID, NEAR = 50, 1.5  # squares along a side of the embedding, and how many of them around a cell are near
NAME_ON_CELLS = 12  # characters of a line
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

    Factors are turned in their ``direction``. Colours stop at the 1st and the 99th percentile; those of a
    factor that falls below 0 are two, on either side of 0.

    Parameters
    ----------
    adata
        Annotated data with the latent, the table of :func:`distaff.tl.factors` and an embedding.
    factors
        Names of factors, or how many of the first ranks; None for up to twelve.
    color
        Column of ``obs`` for a panel before the factors, in the colours of ``uns["{color}_colors"]`` where
        scanpy has set them. Up to forty groups have a legend. In the plane a group whose cells are mostly
        among their own has its name on them too, where they are densest, if there is room. None for no such
        panel.
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
    listed = [] if column is None or is_numeric(column) else _listed(column)
    n_panels = len(names) + (column is not None)
    axes, beside = _new_axes(n_panels, n_columns, listed, str(color), n_dimensions=points.shape[1])
    panels = axes if column is None else axes[1:]
    for ax, name, values in zip(panels, names, Z.T, strict=True):
        draw_values(ax, values, points, order, size, factor=True)
        ax.set_title(_title(table, name, n_genes), fontsize=TEXT)
    if points.shape[1] == 2:
        axes[0].set_xlabel(f"{basis_name} 1", fontsize=SMALL, loc="left")
        axes[0].set_ylabel(f"{basis_name} 2", fontsize=SMALL, loc="bottom")
    if column is not None:
        axes[0].set_title(wrap(str(color)), fontsize=TEXT)
        if is_numeric(column):
            draw_values(axes[0], column.to_numpy(dtype=np.float64, na_value=np.nan), points, order, size)
        else:
            _draw_groups(axes[0], column, category_colors(column, adata.uns), points, order, size, beside)
    finish(axes[0].figure, show=show, save=save)
    return axes


def _read_column(adata: AnnData, color: str) -> pd.Series:
    column = check_obs_column(adata, color, name="color")
    if not column.notna().any():
        raise error(f"adata.obs[{color!r}] must hold a label", got="none")
    return column


def _listed(column: pd.Series) -> list[str]:
    """Words of the legend, none for too many groups."""
    _, classes = pd.factorize(column, sort=True)
    return [wrap(str(label), NAME) for label in classes] if len(classes) <= MAX_LISTED else []


def _new_axes(
    n: int, n_columns: int | None, listed: list[str], title: str, *, n_dimensions: int
) -> tuple[NDArray[Any], int]:
    """Panels, and the columns of the legend beside them."""
    n_columns = min(n, MAX_COLUMNS if n_columns is None else check_int("n_columns", n_columns, minimum=1))
    n_lines = -(-n // n_columns)
    beside, width = room_beside(listed, title, PANEL[1] * n_lines)
    figure = new_figure(PANEL[0] * n_columns + width, PANEL[1] * n_lines)
    projection = {"projection": "3d" if n_dimensions == 3 else None}
    axes = figure.subplots(n_lines, n_columns, squeeze=False, subplot_kw=projection).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n], beside


def _title(table: pd.DataFrame, name: str, n_genes: int) -> str:
    """Name of the factor, and below it its genes where the table has them."""
    genes = str(table.at[name, "top_genes"]).split(", ")[:n_genes] if "top_genes" in table else []
    return "\n".join([wrap(name), *([shorten(", ".join(genes), MAX_GENES)] if any(genes) else [])])


def _draw_groups(
    ax: Axes,
    column: pd.Series,
    colors: list[Any],
    points: NDArray[Any],
    order: NDArray[np.int64],
    size: float,
    beside: int,
) -> None:
    """Colour by group, with a legend in so many columns and names on the cells."""
    draw_classes(ax, column, colors, points, order, size, max_listed=0)
    codes, classes = pd.factorize(column, sort=True)
    if beside:
        label_classes(ax, classes, colors)
        legend_beside(ax, str(column.name), beside)
    if points.shape[1] == 2:
        settle(ax.figure)  # it tells what fits where
        _name_groups(ax, points, codes, [str(label) for label in classes])


def _name_groups(ax: Axes, points: NDArray[Any], codes: NDArray[np.int64], names: list[str]) -> None:
    """Names on the cells of groups that keep to themselves, of large ones first; others have the legend."""
    edge = [withStroke(linewidth=1.8, foreground="white")]
    pixels = ax.transData.transform(points)
    panel: Any = ax.get_window_extent()
    taken: list[Any] = []
    for i, cell in _centres(points, codes, len(names)):
        words = wrap(names[i], NAME_ON_CELLS)
        x, y = points[cell]
        text = ax.text(x, y, words, fontsize=SMALL - 1, ha="center", va="center", path_effects=edge)
        box: Any = text.get_window_extent()
        move = np.maximum(panel.min - box.min, 0) + np.minimum(panel.max - box.max, 0)  # into the panel
        x, y = ax.transData.inverted().transform(pixels[cell] + move)
        text.set_position((x, y))
        box = text.get_window_extent()
        below = codes[np.all((pixels >= box.min) & (pixels <= box.max), axis=1) & (codes >= 0)]
        if np.sum(below == i) <= len(below) / 2 or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)


def _centres(points: NDArray[Any], codes: NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    """Each group most of whose cells are among their own, and its cell where it is densest."""
    low, high = points.min(axis=0), points.max(axis=0)
    places = (GRID - 1) * (points - low) / np.where(high > low, high - low, 1.0)
    squares = tuple(places.round().astype(np.int64).T)
    everyone = _crowd(squares, codes >= 0)
    centres = []
    for i in sorted(range(n), key=lambda i: -np.sum(codes == i)):
        cells = np.flatnonzero(codes == i)
        own = _crowd(squares, codes == i)[cells]
        if np.mean(own > everyone[cells] / 2) > 0.5:
            centres.append((i, int(cells[np.argmax(own)])))
    return centres


def _crowd(squares: tuple[NDArray[np.int64], ...], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(cells,) how many members are near each cell."""
    counts = np.zeros((GRID,) * len(squares))
    np.add.at(counts, tuple(along[members] for along in squares), 1.0)
    return gaussian_filter(counts, NEAR, mode="constant")[squares]
