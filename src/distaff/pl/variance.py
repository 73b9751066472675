"""Share of each factor in the variance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import Choice, choose, read_factors
from distaff.pl._figure import (
    BACKGROUND,
    HIGHLIGHT,
    OKABE_ITO,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    set_names,
)

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["variance"]

WIDTH = 0.24  # inches of a factor
MIN_WIDTH, MAX_WIDTH = 3.2, 9.0
HEIGHT = 2.3  # inches of the bars
LETTER = 0.07  # inches of a letter
MAX_LABEL = 30  # characters
MANY = 40  # factors beyond which names are left out
FLAT = 20.0  # percent: where no share is larger, the sum has a scale of its own


def variance(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Share of each factor in the variance of all factors as bars, and the sum up to it as a line.

    Shares are those of :func:`distaff.tl.factors`. They are of what all factors bring about together, not of
    the variance of the data, so that the sum ends at 100 % however little of the data the factors explain.
    Factors that are not drawn count in the sum. Inactive factors are grey. Where no share reaches 20 %, the
    sum has a scale of its own, on the right.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`distaff.tl.factors`.
    factors
        Names of factors, or how many of the first ranks; None for all, inactive ones last.
    key
        Prefix of the slots.
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
        If the table or a factor is missing.

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`, figure S3.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> tl.factors(adata, key="pca")
    >>> len(pl.variance(adata, key="pca").patches)
    3
    """
    check_axes(ax)
    table = read_factors(adata, key).sort_values("rank")
    names = list(table.index) if factors is None else choose(table, factors, default=len(table))
    shown = table.assign(sum=table["variance_explained"].cumsum()).loc[names].sort_values("rank")
    labels, collection = set_names(list(shown.index), MAX_LABEL)
    own = ax is None
    if ax is None:
        width = float(np.clip(WIDTH * len(shown) + 1.0, MIN_WIDTH, MAX_WIDTH))
        letters = max(map(len, labels)) + (3 if collection else 0) if len(shown) <= MANY else 5
        figure = new_figure(width, HEIGHT + LETTER * letters)
        ax = figure.subplots()
    places = np.arange(len(shown))
    colors = [OKABE_ITO[0] if active else BACKGROUND for active in shown["active"]]
    ax.bar(places, 100 * shown["variance_explained"], color=colors, width=0.8, label="each")
    marker = "o" if len(shown) <= MANY else None
    flat = 100 * float(table["variance_explained"].max()) < FLAT
    line = _right_scale(ax) if flat else ax
    line.plot(
        places,
        100 * shown["sum"],
        color=HIGHLIGHT,
        marker=marker,
        markersize=3,
        linewidth=1.3,
        label="sum",
    )
    line.set_ylim(0, 105)
    ax.set_ylabel("share of the variance\nof all factors (%)", fontsize=TEXT)
    if len(shown) <= MANY:
        ax.set_xticks(places, labels, rotation=90, fontsize=SMALL)
        ax.set_xlabel(f"factor ({collection})" if collection else "", fontsize=TEXT)
    else:
        ax.set_xlabel("rank of the factor", fontsize=TEXT)
        step = 10 if len(shown) <= 150 else 50
        marked = [0, *range(step - 1, len(shown), step)]
        ax.set_xticks(marked, shown["rank"].iloc[marked].astype(str), fontsize=SMALL)
        ax.set_xlim(-1, len(shown))
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    if not flat:
        ax.legend(fontsize=SMALL, frameon=False, loc="center right")
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _right_scale(ax: Axes) -> Axes:
    """Scale of the sum, in its colour."""
    right = ax.twinx()
    right.set_ylabel("sum (%)", fontsize=TEXT, color=HIGHLIGHT)
    right.tick_params(axis="y", labelsize=SMALL, colors=HIGHLIGHT)
    right.spines[["top", "left"]].set_visible(False)
    right.spines["right"].set_color(HIGHLIGHT)
    return right
