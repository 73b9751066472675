"""Agreement of several runs on their factors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from distaff._keys import Slots
from distaff.pl._figure import (
    BACKGROUND,
    HIGHLIGHT,
    OKABE_ITO,
    SEQUENTIAL,
    SMALL,
    check_axes,
    finish,
    new_figure,
    shorten,
)
from distaff.pl._read import read_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["consensus"]

CELL = 0.11  # inches a factor of a run
SIDES = (2.4, 9.0)  # inches of the heat map, smallest and largest
LINE = 0.15  # inches a label
LETTER = 0.07  # inches of a letter
MAX_LABEL = 30  # characters
BARS = 0.32  # width of the bars as a share of the heat map's
GAP = 0.03
MANY = 60  # consensus factors from which lines between them are left out
ALONE = "one run only"


def consensus(
    adata: AnnData,
    *,
    key: str = "consensus",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Correlations of the factors of all runs, those of a consensus factor together, and how stable each is.

    A stable factor is a bright square on the diagonal with nothing bright beside it. The bars are the
    stabilities, blue for stable factors; the mark on each is what chance gives. The last rows are factors
    that no other run has. Where there is no room for all names, some are left out.

    Parameters
    ----------
    adata
        Annotated data with the results of :func:`distaff.tl.consensus`.
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
    Axes of the heat map; those of the bars stand beside it.

    Raises
    ------
    KeyError
        If there is no consensus.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> truth = rng.normal(size=(100, 3))
    >>> for name in "abc":
    ...     adata.obsm[f"X_{name}"] = truth + rng.normal(0, 0.2, (100, 3))
    >>> tl.consensus(adata, ["a", "b", "c"])
    >>> pl.consensus(adata).images[0].get_array().shape
    (9, 9)
    """
    check_axes(ax)
    call = f"distaff.tl.consensus(adata, models, key={key!r})"
    table = read_entry(adata, key, Slots.consensus, call)
    members = read_entry(adata, key, Slots.consensus_members, call)
    R = np.abs(np.asarray(read_entry(adata, key, Slots.consensus_correlation, call), dtype=np.float64))
    side = float(np.clip(CELL * len(R), *SIDES))
    names = [shorten(str(name), MAX_LABEL) for name in table.index]
    own = ax is None
    if ax is None:
        labels = LETTER * max(map(len, [*names, ALONE]))
        figure = new_figure(side * (1 + BARS) + labels + 1.0, side + 0.8)
        ax, beside = figure.subplots(1, 2, width_ratios=(1, BARS))
    else:
        beside = ax.inset_axes((1 + GAP, 0, BARS, 1))
    edges = np.concatenate([[0], np.cumsum(table["n_runs"].to_numpy())])
    _heat_map(ax, R, edges, len(set(members["run"])))
    _label(ax, edges, names, n=len(R), room=int(side / LINE))
    _bars(beside, table, edges, n=len(R))
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _heat_map(ax: Axes, R: NDArray[np.float64], edges: NDArray[np.int64], n_runs: int) -> None:
    image = ax.imshow(R, cmap=SEQUENTIAL, vmin=0, vmax=1, interpolation="auto", aspect="auto")
    if len(edges) <= MANY:
        for edge in edges[1:]:
            ax.axhline(edge - 0.5, color="white", linewidth=0.6)
            ax.axvline(edge - 0.5, color="white", linewidth=0.6)
    ax.set_xticks([])
    ax.set_xlabel(f"{len(R)} factors of {n_runs} runs", fontsize=SMALL)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(
        image, ax=ax, location="top", fraction=0.04, pad=0.02, shrink=0.5, ticks=[0, 0.5, 1]
    )
    bar.set_label("|correlation|", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def _label(ax: Axes, edges: NDArray[np.int64], names: list[str], *, n: int, room: int) -> None:
    """Names beside the middle of their rows, as many as there is room for."""
    middles = list((edges[:-1] + edges[1:] - 1) / 2)
    if edges[-1] < n:
        middles, names = [*middles, (edges[-1] + n - 1) / 2], [*names, ALONE]
    places, labels, free = [], [], -np.inf
    for middle, name in zip(middles, names, strict=True):
        if middle >= free:
            places.append(middle)
            labels.append(name)
            free = middle + n / room
    ax.set_yticks(places, labels, fontsize=SMALL)
    ax.tick_params(axis="y", length=2)


def _bars(beside: Axes, table: pd.DataFrame, edges: NDArray[np.int64], *, n: int) -> None:
    """Stability of each consensus factor beside its rows, with the level of chance."""
    heights = np.diff(edges)
    colors = np.where(table["stable"].to_numpy(dtype=bool), OKABE_ITO[0], BACKGROUND)
    thick = 0.8 if len(table) <= MANY else 1.0
    beside.barh(edges[:-1] - 0.5 + heights / 2, table["stability"], height=thick * heights, color=colors)
    beside.vlines(table["chance"], edges[:-1] - 0.5, edges[1:] - 0.5, color=HIGHLIGHT, linewidth=1.2)
    beside.set(xlim=(0, 1), ylim=(n - 0.5, -0.5), xticks=[0, 0.5, 1])
    beside.set_xlabel("stability", fontsize=SMALL)
    beside.tick_params(axis="x", labelsize=SMALL, length=2)
    beside.tick_params(axis="y", left=False, labelleft=False)
    beside.spines[["top", "right"]].set_visible(False)
    beside.set_title("| chance", fontsize=SMALL, color=HIGHLIGHT, loc="right", pad=2)
