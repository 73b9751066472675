"""Figures of the beta-VSC report: t-SNE in two and three dimensions, and the scores."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from distaff.papers._trials import Outcome, Result
from distaff.papers.vsc._tables import PUBLISHED_SCORES, mean_scores
from distaff.papers.vsc._work import CLUSTER_SCORES, MODELS, PUBLISHED, cells

__all__ = ["draw"]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")
POINT = 2.0


def draw(outcome: Outcome, folder: Path) -> None:
    """Draw what there are results for."""
    firsts = {model: outcome.find(model=model)[:1] for model in MODELS}
    found = {model: results[0] for model, results in firsts.items() if results}
    _maps(found, folder / "tsne_2d.png")
    _boxes({m: r for m, r in found.items() if "of_tsne_3d" in r.values}, folder / "tsne_3d.png")
    _scores(outcome, folder / "scores.png")


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _types(result: Result) -> np.ndarray:
    return cells(result.trial.settings["n_genes"]).obs["cell_type"].astype(str).to_numpy()


def _palette(n: int) -> list[tuple[float, float, float, float]]:
    return [plt.colormaps["tab10"](i % 10) for i in range(n)]


def _points(ax: Axes, points: np.ndarray, labels: np.ndarray, names: list[str]) -> None:
    for name, color in zip(names, _palette(len(names)), strict=True):
        axes = ("xs", "ys", "zs") if points.shape[1] == 3 else ("x", "y")
        places = dict(zip(axes, points[labels == name].T, strict=True))
        ax.scatter(**places, s=POINT, color=color, linewidths=0, label=name, rasterized=True)
    ax.set(xticks=[], yticks=[])


def _maps(found: dict[str, Result], path: Path) -> None:
    """Above: cell types; below: clusters of k-means."""
    figure, axes = plt.subplots(
        2, len(found), figsize=(2.6 * len(found) + 1.6, 5.4), layout="constrained", squeeze=False
    )
    for (above, below), (model, result) in zip(axes.T, found.items(), strict=True):
        points, types, clusters = result.array("tsne"), _types(result), result.array("clusters")
        _points(above, points, types, sorted(set(types)))
        above.set_title(model, fontsize=9)
        _points(below, points, clusters.astype(str), sorted(set(clusters.astype(str))))
        scores = result.values["of_tsne"]
        below.set_xlabel(f"NMI {scores['NMI']:.2f}, ARI {scores['ARI']:.2f}")
    axes[0, 0].set_ylabel("cell types")
    axes[1, 0].set_ylabel("k-means")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8, markerscale=4)
    _save(figure, path)


def _boxes(found: dict[str, Result], path: Path) -> None:
    """t-SNE in three dimensions."""
    if not found:
        return
    figure = plt.figure(figsize=(3.4 * len(found) + 1.4, 3.6), layout="constrained")
    ax = None
    for i, (model, result) in enumerate(found.items()):
        ax = figure.add_subplot(1, len(found), i + 1, projection="3d")
        types = _types(result)
        _points(ax, result.array("tsne_3d"), types, sorted(set(types)))
        ax.set_zticks([])
        ax.set_title(model, fontsize=9)
    if ax is not None:
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8, markerscale=4)
    _save(figure, path)


def _scores(outcome: Outcome, path: Path) -> None:
    """Every score of every model; crosses are published."""
    means = mean_scores(outcome).drop(index=["active dimensions", "seconds of training"])
    figure, ax = plt.subplots(figsize=(6.6, 0.34 * len(means) + 1.2), layout="constrained")
    places = np.arange(len(means))
    for i, model in enumerate(means):
        shift = 0.13 * (i - (means.shape[1] - 1) / 2)
        color = COLORS[MODELS.index(model)]
        ax.plot(means[model], places + shift, "o", color=color, markersize=4.5, label=model)
        if model in PUBLISHED:
            published = PUBLISHED_SCORES[model]
            rows = [means.index.get_loc(name) + shift for name in CLUSTER_SCORES]
            ax.plot(published, rows, "x", color=color, markersize=5, label="published" if not i else None)
    ax.set_yticks(places, list(means.index), fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.02)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    _save(figure, path)
