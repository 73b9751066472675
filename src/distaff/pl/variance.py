"""Share of each factor in the variance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import Choice, choose, read_factors
from distaff.pl._figure import BACKGROUND, HIGHLIGHT, OKABE_ITO, SMALL, TEXT, finish, new_figure, short_names

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["variance"]

WIDTH = 0.24  # inches of a factor
MIN_WIDTH, MAX_WIDTH = 3.2, 9.0
HEIGHT = 2.3  # inches of the bars
LETTER = 0.07  # inches of a letter
MAX_LABEL = 30  # characters
MANY = 40  # factors beyond which names are left out


def variance(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Share of each factor in the variance as bars, and of all up to it as a line.

    Shares are those of :func:`distaff.tl.factors`, of all factors: those that are not drawn count in the
    line. Inactive factors are grey.

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
    >>> pl.variance(adata, key="pca").get_ylabel()
    'variance explained (%)'
    """
    table = read_factors(adata, key).sort_values("rank")
    names = list(table.index) if factors is None else choose(table, factors, default=len(table))
    shown = table.assign(total=table["variance_explained"].cumsum()).loc[names].sort_values("rank")
    own = ax is None
    if ax is None:
        width = float(np.clip(WIDTH * len(shown) + 1.0, MIN_WIDTH, MAX_WIDTH))
        letters = max(map(len, _labels(shown))) if len(shown) <= MANY else 5
        figure = new_figure(width, HEIGHT + LETTER * letters)
        ax = figure.subplots()
    places = np.arange(len(shown))
    colors = [OKABE_ITO[0] if active else BACKGROUND for active in shown["active"]]
    ax.bar(places, 100 * shown["variance_explained"], color=colors, width=0.8, label="each")
    marker = "o" if len(shown) <= MANY else None
    ax.plot(
        places,
        100 * shown["total"],
        color=HIGHLIGHT,
        marker=marker,
        markersize=3,
        linewidth=1.3,
        label="total",
    )
    ax.set_ylim(0, 105)
    ax.set_ylabel("variance explained (%)", fontsize=TEXT)
    if len(shown) <= MANY:
        ax.set_xticks(places, _labels(shown), rotation=90, fontsize=SMALL)
    else:
        ax.set_xlabel("rank of the factor", fontsize=TEXT)
        ax.set_xticks(places[::10], shown["rank"].iloc[::10], fontsize=SMALL)
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=SMALL, frameon=False, loc="center right")
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show if own else bool(show), save=save)
    return ax


def _labels(shown: pd.DataFrame) -> list[str]:
    return short_names(list(shown.index), MAX_LABEL)
