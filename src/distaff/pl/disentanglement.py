"""Heatmap of all dimensions against all factors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.optimize import linear_sum_assignment

from distaff._keys import DEFAULT_KEY
from distaff.pl._figure import HIGHLIGHT, OKABE_ITO, SMALL, TEXT, check_axes, finish, new_figure, short_names
from distaff.pl._read import Scored, read_scores

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["disentanglement"]

CELL = 0.24  # inches of a cell of the heatmap
NARROW = 0.13  # the same, with many dimensions
MANY = 45  # dimensions from which only those that a factor picks are named
MAX_DIMENSIONS = 60  # that are drawn, or as many as there are factors
BAR = 1.3  # inches of the bars
GAP = 0.12  # inches between heatmap, bars and colour key
KEY = 0.1  # inches of the colour key
LETTER = 0.075  # inches of a letter
MAX_LABEL = 44  # characters
CHANCE = {"single_dimension_accuracy": 0.5, "explicitness": 0.5}
REFERENCES = {"chance": "#999999", "ceiling": "#000000"}  # marks beside the bars


def disentanglement(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    metric: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes]:
    """Score of each dimension for each factor, with a bar for the score of the factor.

    Dimensions are ordered by their one-to-one matching with the factors, so that a disentangled latent shows
    a diagonal; those left over follow by their best score, up to 60 dimensions in all. A dot marks the best
    dimension of each factor.
    Beside the bars a grey line marks what a random latent scores, a black one what the factors themselves do,
    where :func:`distaff.tl.disentanglement` has computed it.

    Parameters
    ----------
    adata
        Annotated data with the scores of :func:`distaff.tl.disentanglement`.
    key
        Prefix of the slots.
    metric
        Metric to show; None for the first that was computed.
    ax
        Axes for the heatmap, with the bars to the right of it; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Axes of the heatmap and of the bars.

    Raises
    ------
    KeyError
        If the scores are missing.
    ValueError
        If the metric is defined for none of the factors.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(obs={"condition": np.repeat(["ctrl", "stim"], 200)})
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(400, 3))
    >>> tl.disentanglement(adata, "condition")
    >>> heatmap, bars = pl.disentanglement(adata, metric="smi")
    >>> heatmap.get_xlabel()
    'latent dimension'
    """
    check_axes(ax)
    scored = read_scores(adata, key, metric)
    table = _ordered(scored.matrix[scored.scores.index])
    n_all, table = table.shape[1], table.iloc[:, : max(MAX_DIMENSIONS, len(table))]
    own = ax is None
    heatmap, bars, scale = _new_axes(table) if ax is None else _axes_beside(ax)
    _draw_heatmap(heatmap, scale, table, scored)
    if table.shape[1] < n_all:
        heatmap.set_xlabel(f"latent dimension (the best {table.shape[1]} of {n_all})", fontsize=TEXT)
    _draw_bars(bars, scored)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(heatmap.figure, show=show, save=save, own=own)
    return [heatmap, bars]


def _new_axes(table: pd.DataFrame) -> tuple[Axes, Axes, Axes]:
    """Heatmap, bars and colour key side by side in a figure that fits the table."""
    n_factors, n_dims = table.shape
    width = max(n_dims * (NARROW if n_dims > MANY else CELL), 1.5)
    labels, below = (
        min(max(len(str(name)) for name in names), MAX_LABEL) * LETTER
        for names in (table.index, table.columns)
    )
    figure = new_figure(width + labels + BAR + KEY + 1.0, max(n_factors * CELL, 1.2) + below + 1.0)
    heatmap, bars, scale = figure.subplots(1, 3, width_ratios=[width, BAR, KEY])
    return heatmap, bars, scale


def _axes_beside(ax: Axes) -> tuple[Axes, Axes, Axes]:
    """Bars and colour key to the right of axes that the caller made."""
    width = ax.get_window_extent().width / ax.figure.dpi
    bars = ax.inset_axes((1 + GAP / width, 0.0, BAR / width, 1.0))
    scale = ax.inset_axes((1 + (BAR + 2 * GAP) / width, 0.1, KEY / width, 0.8))
    return ax, bars, scale


def _ordered(matrix: pd.DataFrame) -> pd.DataFrame:
    """(factors, dimensions), the dimensions in the order of their factors, the rest by their best score."""
    values = matrix.fillna(0.0).to_numpy().T
    factors, matched = linear_sum_assignment(values, maximize=True)
    first = matched[np.argsort(factors)]
    rest = [d for d in np.argsort(-values.max(axis=0), kind="stable") if d not in first]
    return matrix.T.iloc[:, [*first, *rest]]


def _draw_heatmap(ax: Axes, scale: Axes, table: pd.DataFrame, scored: Scored) -> None:
    floor = CHANCE.get(scored.metric, 0.0)
    top = max(float(np.nanmax(table.to_numpy())), floor + 1e-9)
    image = ax.imshow(
        table.to_numpy(), aspect="auto", cmap="cividis", vmin=floor, vmax=top, interpolation="none"
    )
    places = {str(name): i for i, name in enumerate(table.columns)}
    best = [(row, places[scored.best[name]]) for row, name in enumerate(table.index) if scored.best[name]]
    if best:
        rows, columns = zip(*best, strict=True)
        ax.plot(
            columns, rows, "o", color=HIGHLIGHT, markeredgecolor="white", markersize=5, markeredgewidth=0.8
        )
    named = sorted({column for _, column in best}) if table.shape[1] > MANY else range(table.shape[1])
    ax.set_xticks(
        list(named), short_names([table.columns[i] for i in named], MAX_LABEL), rotation=90, fontsize=SMALL
    )
    labels = scored.factors.loc[table.index, "label"]
    ax.set_yticks(range(len(table)), short_names(list(labels), MAX_LABEL), fontsize=TEXT)
    ax.set_xlabel("latent dimension", fontsize=TEXT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, cax=scale)
    bar.set_label(scored.matrix_label, fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)


def _draw_bars(bars: Axes, scored: Scored) -> None:
    """Score of each factor with its number and its references, at the height of its row."""
    scores = scored.scores
    floor = CHANCE.get(scored.metric, 0.0)
    bars.barh(range(len(scores)), scores - floor, left=floor, color=OKABE_ITO[0], height=0.7)
    limit = max(1.0, float(scores.max()))
    room = 0.35 * (limit - floor)  # for a number
    for i, (score, *marks) in enumerate(zip(scores, scored.noise, scored.ceiling, strict=True)):
        end = max(score, floor)
        for mark in sorted(mark for mark in marks if mark > end):
            end = mark if mark < end + room else end
        bars.text(end, i, f" {score:.2f}", va="center", fontsize=SMALL)
    _draw_references(bars, scored)
    bars.set_xlim(min(floor, float(scores.min())), limit + room)
    bars.set_xticks([floor, 1.0])
    bars.set_ylim(len(scores) - 0.5, -0.5)  # the rows of the heatmap, first on top
    bars.set_yticks([])
    bars.tick_params(axis="x", labelsize=SMALL, length=2)
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.set_xlabel(scored.metric_label, fontsize=TEXT)


def _draw_references(bars: Axes, scored: Scored) -> None:
    """Lines across the bars, and what they are above them."""
    shown = []
    for (name, color), values in zip(REFERENCES.items(), (scored.noise, scored.ceiling), strict=True):
        rows = np.flatnonzero(values.notna())
        if len(rows):
            shown.append(name)
            ends = values.iloc[rows]
            bars.vlines(ends, rows - 0.45, rows + 0.45, color=color, linewidth=1.6, label=name)
    if shown:
        bars.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(shown),
            fontsize=SMALL,
            frameon=False,
            handlelength=0.7,
            handletextpad=0.4,
            columnspacing=0.9,
            borderaxespad=0.2,
        )
