"""Effects of all factors in one plane, the strongest with their names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from textalloc import allocate

from distaff.pl._figure import BACKGROUND, SMALL, TEXT, set_names

__all__ = ["volcano"]

MAX_LABEL = 40  # characters
REACH = 0.25  # share of the axes that a name may lie from its point
SIZES = (8.0, 60.0)  # area in square points from a Bayes factor of 1 to the largest


def volcano(
    ax: Axes, part: pd.DataFrame, n_named: int, *, colors: tuple[str, str, str], level: float
) -> None:
    """Draw effect against q of each factor, up to ``n_named`` of those below ``level`` with names.

    Parameters
    ----------
    ax
        Axes to draw on.
    part
        Rows of one group, as ``tl.rank_factors`` writes them.
    n_named
        Names to write at most.
    colors
        Of effects above 0, below 0, and of those with a larger q.
    level
        Limit of q.
    """
    part = part[part["q_value"].notna()].sort_values("p_value", ascending=False, kind="stable")
    if part.empty:
        ax.text(0.5, 0.5, "no test", transform=ax.transAxes, ha="center", fontsize=SMALL)
        return
    height = -np.log10(np.maximum(part["q_value"], np.finfo(float).tiny)).to_numpy()
    found = (part["q_value"] < level).to_numpy()
    shade = np.where(found, np.where(part["effect"] > 0, colors[0], colors[1]), colors[2])
    strength = part["log_bayes_factor"].abs().to_numpy()
    area = SIZES[0] + (SIZES[1] - SIZES[0]) * strength / max(strength.max(), 1e-9)
    ax.axvline(0.0, color=BACKGROUND, linewidth=0.8, zorder=0)
    ax.axhline(-np.log10(level), color=BACKGROUND, linewidth=0.8, linestyle="--", zorder=0)
    ax.hlines(height, part["lower"], part["upper"], colors=list(shade), linewidth=0.6, alpha=0.35)
    ax.scatter(part["effect"], height, s=area, c=shade, edgecolors="white", linewidths=0.4, zorder=3)
    ax.set_ylabel("$-\\log_{10}\\,q$", fontsize=TEXT)
    ax.margins(0.1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=SMALL, length=2)
    ax.spines[["top", "right"]].set_visible(False)
    _key(ax, strength.max(), colors[2])
    _name(ax, part["effect"].to_numpy(), height, part["factor"].to_numpy(), found, n_named)


def _key(ax: Axes, largest: float, color: str) -> None:
    """Areas of a small and of the largest Bayes factor."""
    for value in (0.5, largest):
        size = SIZES[0] + (SIZES[1] - SIZES[0]) * value / max(largest, 1e-9)
        ax.scatter([], [], s=size, color=color, label=f"{value:.1f}", linewidths=0)
    ax.legend(
        title="|log BF|",
        loc="lower left",
        bbox_to_anchor=(1.0, -0.04),
        fontsize=SMALL,
        title_fontsize=SMALL,
        frameon=False,
    )


def _name(ax: Axes, x: np.ndarray, y: np.ndarray, names: np.ndarray, found: np.ndarray, n_named: int) -> None:
    """Numbers beside the points of the smallest p-values; to the right, what they stand for."""
    chosen = np.flatnonzero(found)[-n_named:][::-1]
    if not len(chosen):
        return
    numbers = [str(i + 1) for i in range(len(chosen))]
    labels, collection = set_names(list(names[chosen]), MAX_LABEL)
    lines = [f"{number}  {label}" for number, label in zip(numbers, labels, strict=True)]
    ax.annotate(
        "\n".join(([f"({collection})"] if collection else []) + lines),
        (1.0, 1.0),
        (8, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=SMALL,
        linespacing=1.35,
    )
    ax.figure.canvas.figure.draw_without_rendering()  # the layout settles what fits where
    allocate(
        ax,
        x[chosen],
        y[chosen],
        numbers,
        x_scatter=x,
        y_scatter=y,
        textsize=SMALL,
        max_distance=REACH,
        linecolor="#777777",
        linewidth=0.5,
        avoid_crossing_label_lines=True,
    )
