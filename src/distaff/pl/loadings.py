"""Genes as vectors in the plane of two factors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from textalloc import allocate

from distaff._checks import check_int, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import centered, choose, read_factors, read_loadings
from distaff.pl._figure import (
    BACKGROUND,
    OKABE_ITO,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    point_size,
    wrap,
)

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["loadings"]

SIDE = 4.2  # inches
MARGIN = 0.12  # share of the range left free around the points, for names
REACH = 0.3  # share of the axes that a name may lie from its tip


def loadings(
    adata: AnnData,
    factors: Sequence[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
    n_genes: int = 12,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """All genes by their loadings on two factors, those with the longest vectors drawn out and named.

    Vectors are measured in standard deviations of each factor's loadings. Factors are turned in their
    ``direction``; dense columns are centred over genes if loadings have a sign.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`distaff.tl.factors` and the loadings of
        :func:`distaff.tl.loadings`.
    factors
        Names of two factors, to the right and up; None for the first two ranks.
    key
        Prefix of the slots.
    n_genes
        Genes to name.
    ax
        Axes to draw on; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Axes.

    Raises
    ------
    KeyError
        If the table, the loadings or a factor is missing.
    ValueError
        If the factors are not two.

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`, figure 1c.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(rng.normal(size=(100, 20)))
    >>> adata.obsm["X_pca"] = rng.normal(size=(100, 2))
    >>> adata.varm["pca_loadings"] = rng.normal(size=(20, 2))
    >>> tl.factors(adata, key="pca")
    >>> len(pl.loadings(adata, key="pca", n_genes=5).texts)
    5
    """
    check_axes(ax)
    n_genes = check_int("n_genes", n_genes, minimum=1)
    table = read_factors(adata, key)
    names = choose(table, factors, default=2)
    if len(names) != 2:
        raise error("factors must name two different factors", got=", ".join(map(repr, names)))
    vectors = centered(read_loadings(adata, key, table))[names]
    points = vectors.to_numpy()
    own = ax is None
    ax = new_figure(SIDE, SIDE).subplots() if ax is None else ax
    chosen = _longest(points, n_genes)
    _draw(ax, points, chosen)
    ax.set_xlabel(wrap(names[0], 40), fontsize=TEXT)
    ax.set_ylabel(wrap(names[1], 40), fontsize=TEXT)
    _name(ax, points[chosen], [str(vectors.index[i]) for i in chosen])
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _longest(points: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """(up to n,) genes with the longest vectors in units of the spread of each factor, none of length 0."""
    spread = np.sqrt((points**2).mean(axis=0))
    length = np.hypot(*(points / np.where(spread > 0, spread, 1.0)).T)
    order = np.argsort(-length, kind="stable")[:n]
    return order[length[order] > 0]


def _draw(ax: Axes, points: NDArray[np.float64], chosen: NDArray[np.int64]) -> None:
    """Points for all genes, lines from the origin for those chosen."""
    ax.axhline(0.0, color=BACKGROUND, linewidth=0.6, zorder=0)
    ax.axvline(0.0, color=BACKGROUND, linewidth=0.6, zorder=0)
    size = max(point_size(len(points)), 2.0)
    ax.scatter(points[:, 0], points[:, 1], s=size, color="#999999", linewidths=0, rasterized=True)
    for x, y in points[chosen]:
        ax.plot([0, x], [0, y], color=OKABE_ITO[0], linewidth=0.8, alpha=0.7)
    ax.plot(*points[chosen].T, "o", color=OKABE_ITO[0], markersize=3)
    ax.margins(MARGIN)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.tick_params(labelsize=SMALL, length=2)
    ax.spines[["top", "right"]].set_visible(False)


def _name(ax: Axes, points: NDArray[np.float64], genes: list[str]) -> None:
    """Names beside the tips, clear of each other, of the tips and of the lines."""
    if not genes:
        return
    ax.figure.canvas.figure.draw_without_rendering()  # the layout settles what fits where
    allocate(
        ax,
        points[:, 0],
        points[:, 1],
        genes,
        x_scatter=points[:, 0],
        y_scatter=points[:, 1],
        x_lines=[[0.0, x] for x in points[:, 0]],
        y_lines=[[0.0, y] for y in points[:, 1]],
        textsize=SMALL,
        max_distance=REACH,
        linecolor="#777777",
        linewidth=0.5,
        avoid_crossing_label_lines=True,
    )
