"""Gene sets that the factors are enriched in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff._checks import check_int, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.pl._factors import Choice, choose, known_factors
from distaff.pl._figure import (
    BACKGROUND,
    DIVERGING,
    OKABE_ITO,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    p_text,
    set_names,
    wrap,
)
from distaff.pl._read import read_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["enrichment"]

DEFAULT = 15  # factors
SETS_A_FACTOR, SETS_OF_ONE = 3, 15
MANY = 40  # factors beyond which each brings but one set
LEVEL = 0.05  # q-value below which a set counts as enriched
CELL = 0.2  # inches of a dot
LETTER = 0.068  # inches of a letter
BARS = 2.4  # inches
MAX_LABEL = 48  # characters of a set
MAX_FACTOR = 30  # characters of a factor
MAX_DOT = 95.0  # area in square points
VISIBLE = 0.5  # the same, below which a dot is not drawn
STRONGEST = 10.0  # -log10 q beyond which dots grow no more
OUTER = 99  # percentile of the scores at which colours stop


def enrichment(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    n_sets: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Gene sets with high or low loadings: dots for several factors, bars for one.

    The sets of the smallest q-values of each factor are drawn, against all factors: the area of a dot is
    -log10 q, its colour the score, positive if the set goes up with the factor, and its rim is dark where
    q < 0.05. Sets of larger q are drawn only if no factor has others. Of sets with the same genes the first
    is drawn. A beginning that all sets share, such as the name of their collection, stands at the axis.
    Factors are turned in their ``direction`` where the table is of the loadings of ``key``.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`distaff.tl.enrich`.
    factors
        Names of factors, or how many of the first ranks; None for up to 15.
    key
        Prefix of the slots.
    n_sets
        Sets of each factor; None for 3, for 15 of a single factor and for 1 of each of more than 40.
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
    ValueError
        If none of the factors was tested.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.ones((2, 100)))
    >>> adata.varm["distaff_loadings"] = np.random.default_rng(0).normal(size=(100, 2))
    >>> adata.varm["distaff_loadings"][:10, 1] -= 3
    >>> ds.pp.gene_sets(adata, {"A": adata.var_names[:10], "B": adata.var_names[50:60]}, min_genes=5)
    >>> ds.tl.enrich(adata)
    >>> ax = ds.pl.enrichment(adata)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['A']
    """
    check_axes(ax)
    entry = read_entry(adata, key, Slots.enrich, f"distaff.tl.enrich(adata, key={key!r})")
    table = entry["table"].astype({"factor": str, "gene_set": str, "same_as": str})
    own = entry["params"]["use_loadings"] == Slots(key).loadings
    known = known_factors(adata, key, list(table["factor"].unique()), own=own)
    tested = table[table["q_value"].notna() & (table["same_as"] == "")]
    known["active"] &= known.index.isin(tested["factor"])
    names = choose(known, factors, default=DEFAULT)
    turned = tested["statistic"] * known["direction"].reindex(tested["factor"]).to_numpy()
    tested = tested.assign(statistic=turned)[tested["factor"].isin(names)]
    if tested.empty:
        raise error("A factor must have been tested", got="none", fix="See min_genes of distaff.tl.enrich.")
    default = SETS_OF_ONE if len(names) == 1 else SETS_A_FACTOR if len(names) <= MANY else 1
    n_sets = default if n_sets is None else check_int("n_sets", n_sets, minimum=1)
    first = _first(tested, names, n_sets)
    own_figure = ax is None
    draw = _bars if len(names) == 1 else _dots
    ax = draw(ax, first if len(names) == 1 else tested, names, list(first["gene_set"].unique()))
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own_figure)
    return ax


def _first(tested: pd.DataFrame, names: list[str], n: int) -> pd.DataFrame:
    """Rows of the first sets of each factor, factors in their order."""
    found = tested[tested["q_value"] < LEVEL]
    table = (tested if found.empty else found).assign(size=lambda t: -t["statistic"].abs())
    table = table.sort_values(["q_value", "size"], kind="stable").groupby("factor", sort=False).head(n)
    place = table["factor"].map({name: i for i, name in enumerate(names)})
    return table.assign(place=place).sort_values(["place", "q_value", "size"], kind="stable")


def _dots(ax: Axes | None, tested: pd.DataFrame, names: list[str], sets: list[str]) -> Axes:
    """Factors to the right, sets downwards in the order in which the factors bring them."""
    labels, shared = set_names(sets, MAX_LABEL)
    columns, collection = set_names(names, MAX_FACTOR)
    if ax is None:
        below = LETTER * max(map(len, columns))
        width = CELL * len(names) + LETTER * max(map(len, labels)) + 1.6
        ax = new_figure(width, max(CELL * len(sets), 2.2) + below + 0.5).subplots()
    shown = tested[tested["gene_set"].isin(sets) & (_area(tested["q_value"]) > VISIBLE)]
    x = shown["factor"].map({name: i for i, name in enumerate(names)})
    y = shown["gene_set"].map({name: i for i, name in enumerate(sets)})
    limit = float(np.percentile(shown["statistic"].abs(), OUTER)) if len(shown) else 1.0
    drawn = ax.scatter(
        x,
        y,
        s=_area(shown["q_value"]),
        c=shown["statistic"],
        cmap=DIVERGING,
        vmin=-limit,
        vmax=limit,
        edgecolors=["#333333" if q < LEVEL else "none" for q in shown["q_value"]],
        linewidths=0.7,
        zorder=3,
    )
    ax.set_xticks(range(len(names)), columns, rotation=90, fontsize=SMALL)
    ax.set_yticks(range(len(sets)), labels, fontsize=SMALL)
    ax.set_xlim(-0.7, len(names) - 0.3)
    ax.set_ylim(len(sets) - 0.3, -0.7)
    ax.grid(color="#EEEEEE", linewidth=0.6)
    ax.tick_params(length=0)
    ax.spines[:].set_color("#AAAAAA")
    ax.set_xlabel(f"factor ({collection})" if collection else "", fontsize=TEXT)
    ax.set_ylabel(f"gene set ({shared})" if shared else "", fontsize=TEXT)
    if not (tested["q_value"] < LEVEL).any():  # an empty grid would look like a fault
        ax.set_title(f"no gene set with q < {LEVEL:g}", fontsize=TEXT)
    _keys(ax, drawn)
    return ax


def _keys(ax: Axes, drawn: PathCollection) -> None:
    """Colour key and key of areas, both to the right."""
    ax.figure.canvas.figure.draw_without_rendering()  # the layout settles the size of the axes
    box, dots = ax.get_window_extent(), ax.figure.dpi
    width, height = box.width / dots, box.height / dots
    part = min(0.45, 1.0 / height)
    scale = ax.inset_axes((1 + 0.12 / width, 0.98 - part, 0.11 / width, part))
    bar = ax.figure.colorbar(drawn, cax=scale)
    bar.locator = MaxNLocator(3, symmetric=True)
    bar.update_ticks()
    bar.set_label("score", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)
    for q, text in ((1e-2, "0.01"), (1e-5, "1e-5"), (1e-10, "≤ 1e-10")):
        ax.scatter([], [], s=_area(pd.Series([q])), color="#999999", edgecolors="#333333", label=text)
    ax.legend(
        title="q",
        loc="lower left",
        bbox_to_anchor=(1 + 0.03 / width, 0.0),
        fontsize=SMALL,
        title_fontsize=SMALL,
        frameon=False,
        borderaxespad=0.0,
        handletextpad=0.3,
    )


def _bars(ax: Axes | None, first: pd.DataFrame, names: list[str], sets: list[str]) -> Axes:
    """Scores of the sets of one factor, the highest on top, q beside each."""
    del sets  # the rows hold them
    first = first.sort_values("statistic", ascending=False, kind="stable")
    labels, shared = set_names(list(first["gene_set"]), MAX_LABEL)
    if ax is None:
        width = BARS + LETTER * max(map(len, labels)) + 0.7
        ax = new_figure(width, CELL * max(len(first), 3) + 0.9).subplots()
    lines = np.arange(len(first))
    side = np.where(first["statistic"] > 0, OKABE_ITO[0], OKABE_ITO[3])
    ax.barh(
        lines, first["statistic"], color=np.where(first["q_value"] < LEVEL, side, BACKGROUND), height=0.72
    )
    ax.axvline(0.0, color="#777777", linewidth=0.8)
    ax.set_yticks(lines, labels, fontsize=SMALL)
    ax.set_ylim(len(first) - 0.4, -0.6)
    options: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "va": "center",
    }
    ax.annotate("q", (1.0, -0.9), (6, 0), fontsize=SMALL, annotation_clip=False, **options)
    for line, q in zip(lines, first["q_value"], strict=True):
        ax.annotate(p_text(q), (1.0, line), (6, 0), fontsize=SMALL, annotation_clip=False, **options)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_title(wrap(names[0], 40), fontsize=TEXT)
    ax.set_xlabel("score", fontsize=TEXT)
    ax.set_ylabel(f"gene set ({shared})" if shared else "", fontsize=TEXT)
    return ax


def _area(q: pd.Series) -> NDArray[np.float64]:
    strength = -np.log10(np.maximum(q.to_numpy(dtype=float), 10.0**-STRONGEST))
    return MAX_DOT * strength / STRONGEST
