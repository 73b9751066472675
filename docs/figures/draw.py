"""The figures: what each latent looks like, all scores of all latents, and where published forms break."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from forms import QUESTIONS
from gallery import EXTREME, Case
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 7.4  # inches, of a column of text
DEFAULT, PUBLISHED = "#0072B2", "#D55E00"  # Okabe and Ito, told apart by all eyes
SHOWN_CELLS = 100
DIFFERS = 0.1
HEADLINE = 0.8  # height of a question, in rows


def draw_latents(cases: list[Case], path: Path) -> None:
    """Draw cells (rows, sorted by their factors) x dimensions of each latent, beside the factors."""
    figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
    axes = figure.subplots(3, 5).ravel()
    for ax, case in zip(axes, cases, strict=False):
        order = case.Y.sort_values(list(case.Y)).index
        step = len(order) // SHOWN_CELLS
        cells = order[order.get_loc(EXTREME) % step :: step].to_numpy()
        truth = case.Y.apply(lambda column: pd.factorize(column, sort=True)[0] / max(column.nunique() - 1, 1))
        draw_cells(ax, truth.to_numpy()[cells], case.Z, cells)
        ax.set_title(case.name, fontsize=8)
    for ax in axes[len(cases) :]:
        ax.set_axis_off()
    save(figure, path)


def draw_cells(ax: Axes, truth: np.ndarray, Z: np.ndarray, cells: np.ndarray) -> None:
    """Draw factors on the left, dimensions on the right, on the scale of the widest dimension."""
    low, middle, high = np.quantile(Z, [0.05, 0.5, 0.95], axis=0)
    scale = (high - low).max() / 2
    centre = np.where(high - low > scale / 10, (high + low) / 2, middle)
    width, n_dims = truth.shape[1], Z.shape[1]
    latent = (Z[cells] - centre) / scale
    for left, values, cmap, end in ((0, truth, "Greys", 1.0), (width + 1, latent, "PuOr", 1.3)):
        extent = (left - 0.5, left + values.shape[1] - 0.5, len(cells), 0)
        options = {"aspect": "auto", "interpolation": "nearest", "extent": extent}
        ax.imshow(values, cmap=cmap, vmin=0 if left == 0 else -end, vmax=end, **options)
        ax.add_patch(mpl.patches.Rectangle((left - 0.5, 0), values.shape[1], len(cells), fill=False, lw=0.6))
    ax.set_xlim(-0.6, width + n_dims + 0.6)
    ax.set_ylim(len(cells), 0)
    ax.set_yticks([])
    ax.set_xticks([(width - 1) / 2, width + 0.5 + n_dims / 2], ["factors", "latent"], fontsize=7)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_scores(
    values: pd.DataFrame, chance: pd.DataFrame, path: Path, *, reference: pd.DataFrame | None = None
) -> None:
    """Draw scores x latents; frame those that differ from ``reference`` by more than 0.1."""
    figure = Figure(figsize=(WIDTH, 8.2), layout="constrained")
    ax = figure.subplots()
    counts = list(QUESTIONS.values())
    tops = np.arange(values.shape[1]) + HEADLINE * (1 + np.repeat(np.arange(len(counts)), counts))
    cmap = mpl.colormaps["cividis"]
    for i, case in enumerate(values.index):
        for top, name in zip(tops, values, strict=True):
            score, floor = values.loc[case, name], chance.loc[case, name]
            other = np.nan if reference is None else reference.loc[case, name]
            height = np.clip((score - floor) / (1 - floor), 0, 1)
            draw_number(ax, (i, top), score, cmap(height), frame=abs(score - other) > DIFFERS)
    label_scores(ax, tops, values)
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), cmap)
    bar = figure.colorbar(colours, ax=ax, location="bottom", shrink=0.3, aspect=20, pad=0.01, ticks=[0, 1])
    bar.ax.set_xticklabels(["chance", "1"], fontsize=8)
    save(figure, path)


def draw_number(
    ax: Axes, corner: tuple[float, float], score: float, colour: tuple[float, ...], *, frame: bool
) -> None:
    """Draw one number on its colour; nothing for a score that does not exist."""
    if np.isnan(score):
        return
    x, y = corner
    ax.add_patch(mpl.patches.Rectangle(corner, 1, 1, fc=colour, ec="white", lw=1))
    if frame:
        inner = (x + 0.08, y + 0.08)
        ax.add_patch(mpl.patches.Rectangle(inner, 0.84, 0.84, fill=False, ec=PUBLISHED, lw=2))
    dark = np.dot(colour[:3], [0.3, 0.6, 0.1]) < 0.5
    text = f"{0.0 if round(score, 2) == 0 else score:.2f}"
    ink = "white" if dark else "black"
    ax.text(x + 0.5, y + 0.52, text, ha="center", va="center", fontsize=7.5, color=ink)


def label_scores(ax: Axes, tops: np.ndarray, values: pd.DataFrame) -> None:
    """Name scores, questions and latents."""
    ax.set_xlim(0, len(values))
    ax.set_ylim(tops[-1] + 1, 0)
    ax.set_yticks(tops + 0.5, list(values), fontsize=8)
    ax.xaxis.tick_top()
    places = np.arange(len(values)) + 0.5
    ax.set_xticks(places, list(values.index), rotation=40, ha="left", rotation_mode="anchor", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    start = 0
    for question, n in QUESTIONS.items():
        ax.text(0.05, tops[start] - 0.12, question, va="bottom", fontsize=8, weight="bold")
        start += n


def draw_fragile(tables: list[pd.DataFrame], path: Path) -> None:
    """Draw one panel a table; columns come in pairs of the published form and the default."""
    titles = ["one cell moves away", "20 dimensions of noise", "a dimension separates a class"]
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    for ax, table, title in zip(figure.subplots(1, 3), tables, titles, strict=True):
        for i, name in enumerate(table):
            colour, marker = (PUBLISHED, "s") if "published" in name else (DEFAULT, "o")
            line = ("-", ":")[i // 2]
            ax.plot(table.index, table[name], line, marker=marker, ms=3.5, color=colour, label=name)
        ax.set_xscale("log")
        ax.set_ylim(min(-0.05, 1.1 * table.to_numpy().min()), 1.05)
        ax.axhline(0, color="0.8", lw=1, zorder=0)
        ax.set_xlabel(table.index.name, fontsize=8)
        ax.set_title(title, fontsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.22))
        ticks = list(table.index) if len(table) < 8 else [1, 10, 100, 1000, 10000]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.tick_params(labelsize=7.5)
        ax.minorticks_off()
    figure.axes[0].set_ylabel("score", fontsize=8)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, sharp and yet small."""
    figure.savefig(path, dpi=140, metadata={"Software": None})
