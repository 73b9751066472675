"""Scores against beta or capacity, over runs with different seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray
from textalloc import allocate

from distaff._checks import check_int, error
from distaff.pl._figure import OKABE_ITO, SEQUENTIAL, SMALL, TEXT, check_axes, finish, new_figure, shorten
from distaff.pl._runs import SCORE_LABELS, intervals, read_runs, scores_of

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["tradeoff"]

Parts = list[tuple[pd.DataFrame, dict[str, Any]]]  # runs of each line, and how it looks

PANEL = (3.0, 2.5)  # inches
LEGEND = 0.45  # inches, without its words
LETTER = 0.065  # inches of a letter
MAX_COLUMNS = 4
BEYOND = 0.5  # share of the range of the runs by which the longest bars may widen an axis
REACH = 0.25  # share of the axes that a setting may stand from its point
MARKERS = ("o", "s")  # each with all colours
WIDE = 10.0  # ratio of the largest setting to the smallest from which the axis is logarithmic
DODGE = 0.022  # share of the axis between lines, so that their bars stand side by side
MAX_SPREAD = 0.1  # share of the axis that all lines take at one setting
MARGIN = 0.08  # share of the axis left free at both ends
MIN_GAP = 0.06  # share of the axis between two ticks with a number
AXIS_LABELS = {"beta": "beta", "capacity": "capacity (nats)"}


def tradeoff(
    data: AnnData | pd.DataFrame,
    scores: str | Sequence[str] | None = None,
    *,
    x: str = "beta",
    hue: str | None = None,
    against: str | None = None,
    keys: Sequence[str] | None = None,
    n_columns: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Scores over seeds against beta or capacity, or against each other.

    Points with bars are means with their 95 % t intervals over the runs of a setting (no bar for a single
    run; one that is far longer than the runs are apart leaves the panel), dashes the runs themselves, or dots
    where two scores are drawn against each other. Runs on the same cells differ by their seeds only:
    intervals say nothing about other cells or donors. An axis is logarithmic if its settings are above 0 and
    differ by a factor of ten or more.

    Parameters
    ----------
    data
        Annotated data with several latents and their scores, as :func:`distaff.tl.collect_scores` reads
        them, or a table with one row a run: columns ``x``, one a score, and ``seed`` if there is one.
    scores
        Columns to draw, one panel each; None for all that are named as a metric, ``ari`` and ``nmi``.
    x
        "beta" or "capacity". Runs without a value are left out.
    hue
        Column with a line for each value; "factor" for each known factor. None for the capacity where it
        varies along with beta, and the other way round.
    against
        Score to the right instead of ``x``, such as ``"ari"``: one point a setting, joined in their order,
        with bars both ways.
    keys
        Keys of ``data`` to draw; None for all that hold scores.
    n_columns
        Panels side by side; None for up to four.
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
        If scores, or a column, are missing.
    TypeError
        If a column to draw does not hold numbers.
    ValueError
        If runs of one setting share a seed, so that something else differs; if there is no run with a
        setting; if ``hue`` has more than twelve values; or if ``ax`` is given for several panels.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`, figures 1C and 2B to 2D.

    Examples
    --------
    >>> import pandas as pd
    >>> from distaff import pl
    >>> runs = pd.DataFrame({"beta": [1, 1, 10, 10], "seed": [0, 1, 0, 1], "mig": [0.1, 0.2, 0.4, 0.5]})
    >>> pl.tradeoff(runs.assign(ari=[0.9, 0.8, 0.7, 0.6]), "mig")[0].get_xscale()
    'log'
    >>> pl.tradeoff(runs.assign(ari=[0.9, 0.8, 0.7, 0.6]), "mig", against="ari")[0].get_xlabel()
    'ARI'
    """
    check_axes(ax)
    runs, hue = read_runs(data, keys=keys, x=x, hue=hue)
    names = scores_of(runs, scores)
    if against is not None:
        scores_of(runs, against)
        names = [name for name in names if name != against] if scores is None else names
    if not names:
        raise error("scores must name at least one column", got="none")
    if ax is not None and len(names) != 1:
        raise error("scores must name one column if ax is given", got=len(names))
    if hue is not None:
        runs = runs[runs[names].notna().any(axis=1)]  # a factor may have none of these scores
    styles = _styles(runs, hue)
    labels = [] if hue is None else [hue, *(style["label"] for style in styles.values())]
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(len(names), n_columns, labels)
    parts = [(runs if hue is None else runs[runs[hue] == level], style) for level, style in styles.items()]
    for panel, name in zip(axes, names, strict=True):
        if against is None:
            _draw_lines(panel, parts, x, name)
            _set_settings(panel, runs[x])
        else:
            _draw_plane(panel, parts, x, against, name)
        _decorate(panel, AXIS_LABELS[x] if against is None else _label(against), _label(name))
    if hue is not None:
        _add_legend(axes, hue, own=ax is None)
    for panel, name in zip(axes, names, strict=True):
        if against is not None:  # when all that takes room has been drawn
            _name_settings(panel, parts, x, against, name)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _new_axes(n: int, n_columns: int | None, labels: Sequence[str]) -> NDArray[Any]:
    """Panels, with room for the legend of the ``labels`` at their right."""
    legend = LEGEND + LETTER * max(map(len, labels)) if labels else 0.0
    default = -(-n // -(-n // MAX_COLUMNS))  # lines of equal length
    n_columns = min(default if n_columns is None else check_int("n_columns", n_columns, minimum=1), n)
    n_lines = -(-n // n_columns)
    figure = new_figure(PANEL[0] * n_columns + legend, PANEL[1] * n_lines)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def _styles(runs: pd.DataFrame, hue: str | None) -> dict[Any, dict[str, Any]]:
    """Colour, marker and label of each line: colours in order for numbers, else those that differ most."""
    if hue is None:
        return {None: {"color": OKABE_ITO[0], "marker": "o", "label": None}}
    numbers = pd.api.types.is_numeric_dtype(runs[hue].dtype)
    levels = sorted(runs[hue].unique()) if numbers else list(dict.fromkeys(runs[hue]))
    if numbers:
        colors = list(mpl.colormaps[SEQUENTIAL](np.linspace(0.0, 0.85, len(levels))))
    else:
        colors = [OKABE_ITO[i % len(OKABE_ITO)] for i in range(len(levels))]
    return {
        level: {
            "color": color,
            "marker": MARKERS[0 if numbers else i // len(OKABE_ITO)],
            "label": f"{level:g}" if numbers else shorten(str(level), 28),
        }
        for i, (level, color) in enumerate(zip(levels, colors, strict=True))
    }


def _is_log(values: pd.Series) -> bool:
    return bool(values.min() > 0 and values.max() >= WIDE * values.min())


def _draw_lines(ax: Axes, parts: Parts, x: str, score: str) -> None:
    """Means with bars, joined, and the runs as dashes; lines stand side by side."""
    everything = pd.concat([runs for runs, _ in parts])
    log = _is_log(everything[x])
    ends = np.unique(np.log10(everything[x]) if log else everything[x])
    span = float(np.ptp(ends)) or 1.0
    step = min(
        DODGE, MAX_SPREAD / len(parts), 0.6 * float(np.diff(ends).min(initial=span)) / span / len(parts)
    )
    tables = []
    for i, (runs, style) in enumerate(parts):
        table = intervals(runs, x, score)
        aside = (i - (len(parts) - 1) / 2) * step * span

        def moved(values: Any, aside: float = aside) -> NDArray[np.float64]:
            values = np.asarray(values, dtype=float)
            return values * 10**aside if log else values + aside

        color = style["color"]
        ax.plot(moved(runs[x]), runs[score], "_", color=color, alpha=0.5, markersize=6, zorder=2)
        ax.plot(moved(table.index), table["mean"], color=color, linewidth=1.1, zorder=3)
        _draw_means(ax, moved(table.index), table["mean"], None, table["half"], style)
        tables.append(table)
    ax.set_ylim(*_limits(everything[score], pd.concat(tables)))
    if _is_count(everything[score]):
        ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _draw_means(
    ax: Axes, x: Any, y: pd.Series, x_half: pd.Series | None, y_half: pd.Series, style: dict[str, Any]
) -> None:
    """Means as markers, with bars where there is an interval."""
    ax.errorbar(
        x,
        y,
        xerr=x_half,
        yerr=y_half,
        fmt=style["marker"],
        color=style["color"],
        label=style["label"],
        markersize=4.5,
        elinewidth=1.1,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=4,
    )


def _is_count(values: pd.Series) -> bool:
    """Whether they are whole numbers, and not the ends of a score from 0 to 1."""
    numbers = values.dropna().to_numpy(dtype=float)
    return bool((numbers == np.round(numbers)).all() and (np.abs(numbers) > 1).any())


def _limits(runs: pd.Series, table: pd.DataFrame) -> tuple[float, float]:
    """Range of an axis: all runs, and bars unless they dwarf them, as those of two runs may do."""
    low, high = float(runs.min()), float(runs.max())
    room = BEYOND * (high - low) or (1.0 if _is_count(runs) else 0.05 * abs(high)) or 0.05
    bars = table.dropna()
    ends = (bars["mean"] - bars["half"]).min(), (bars["mean"] + bars["half"]).max()
    low = low if bars.empty else min(low, max(float(ends[0]), low - room))
    high = high if bars.empty else max(high, min(float(ends[1]), high + room))
    margin = 0.06 * (high - low) or room
    return low - margin, high + margin


def _draw_plane(ax: Axes, parts: Parts, x: str, across: str, up: str) -> None:
    """One point a setting with bars both ways, joined in the order of the settings."""
    tables = []
    for runs, style in parts:
        first, second = _both(runs, x, across, up)
        color = style["color"]
        ax.plot(runs[across], runs[up], ".", color=color, alpha=0.4, markersize=4, mew=0, zorder=2)
        ax.plot(first["mean"], second["mean"], color=color, linewidth=0.8, zorder=3)
        _draw_means(ax, first["mean"], second["mean"], first["half"], second["half"], style)
        tables.append((first, second))
    everything = pd.concat([runs for runs, _ in parts]).dropna(subset=[across, up])
    ax.set_xlim(*_limits(everything[across], pd.concat([first for first, _ in tables])))
    ax.set_ylim(*_limits(everything[up], pd.concat([second for _, second in tables])))


def _both(runs: pd.DataFrame, x: str, across: str, up: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means and intervals of two scores, of the runs that have both."""
    runs = runs.dropna(subset=[across, up])
    return intervals(runs, x, across), intervals(runs, x, up)


def _name_settings(ax: Axes, parts: Parts, x: str, across: str, up: str) -> None:
    """Write each setting beside its point, clear of the bars."""
    tables = [(*_both(runs, x, across, up), style["color"]) for runs, style in parts]
    colors = [color for first, _, color in tables for _ in first.index]
    first, second = (pd.concat([table[i] for table in tables]) for i in (0, 1))
    points = first["mean"].to_numpy(), second["mean"].to_numpy()
    halves = first["half"].fillna(0.0).to_numpy(), second["half"].fillna(0.0).to_numpy()
    ax.figure.canvas.figure.draw_without_rendering()  # the layout settles what fits where
    allocate(
        ax,
        *points,
        [f"{value:g}" for value in first.index],
        x_scatter=points[0],
        y_scatter=points[1],
        x_lines=[
            *([a - h, a + h] for a, h in zip(points[0], halves[0], strict=True)),
            *([a, a] for a in points[0]),
        ],
        y_lines=[
            *([b, b] for b in points[1]),
            *([b - h, b + h] for b, h in zip(points[1], halves[1], strict=True)),
        ],
        textsize=SMALL,
        textcolor=colors,
        max_distance=REACH,
        linecolor="#777777",
        linewidth=0.5,
    )


def _set_settings(ax: Axes, values: pd.Series) -> None:
    """Ticks at the settings themselves, as many as there is room for."""
    settings = np.unique(values.to_numpy(dtype=float))
    log = _is_log(values)
    places = np.log10(settings) if log else settings
    span = float(np.ptp(places)) or 1.0
    ends = np.array([places[0] - MARGIN * span, places[-1] + MARGIN * span])
    if log:
        ax.set_xscale("log")
    ax.set_xlim(*(10**ends if log else ends))
    shown: list[int] = []
    for i in range(len(settings)):
        if not shown or places[i] - places[shown[-1]] >= MIN_GAP * span:
            shown.append(i)
    ax.xaxis.set_major_locator(FixedLocator(settings[shown].tolist()))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _label(score: str) -> str:
    return SCORE_LABELS.get(score, score)


def _decorate(ax: Axes, x_label: str, y_label: str) -> None:
    ax.set_xlabel(x_label, fontsize=TEXT)
    ax.set_ylabel(shorten(y_label, 36), fontsize=TEXT)
    ax.tick_params(labelsize=SMALL, length=2)
    ax.spines[["top", "right"]].set_visible(False)


def _add_legend(axes: NDArray[Any], hue: str, *, own: bool) -> None:
    """To the right of all panels, or in the axes of the caller."""
    handles, labels = axes[0].get_legend_handles_labels()
    options: dict[str, Any] = {
        "title": hue,
        "fontsize": SMALL,
        "title_fontsize": SMALL,
        "frameon": False,
        "alignment": "left",
    }
    if own:
        axes[0].figure.legend(handles, labels, loc="outside right upper", **options)
    else:
        axes[0].legend(handles, labels, **options)
