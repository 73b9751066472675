"""Figures of Svensson et al."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import distaff as ds
from distaff.papers._cells import restore
from distaff.papers._trials import Outcome
from distaff.papers.svensson._measures import LAST, best_pair, fitted_line, model_result, three_types
from distaff.papers.svensson._work import BEST, KEY, N_EPOCHS_TIMED, VARIANTS, cells

__all__ = ["draw"]

COLORS = ("#000000", "#0072B2", "#56B4E9", "#D55E00", "#E69F00")


def draw(outcome: Outcome, folder: Path) -> None:
    """Draw what there are results for."""
    if outcome.find(part="fit"):
        _errors(outcome, folder / "errors.png")
        _factors(outcome, folder / "factor_correlation.png")
        _axes(outcome, folder)
    if outcome.find(part="time", device="cpu"):
        _times(outcome, folder / "time.png")
    if outcome.find(part="converge"):
        _convergence(outcome, folder / "convergence.png")


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _errors(outcome: Outcome, path: Path) -> None:
    """Fig. 1b: error by epoch, and the last epochs of all seeds."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 3.6), layout="constrained", width_ratios=(1.2, 1)
    )
    ends = []
    for i, (variant, color) in enumerate(zip(VARIANTS, COLORS, strict=True)):
        for j, result in enumerate(outcome.find(part="fit", variant=variant)):
            curve = result.array("curve")
            ends.append(curve[len(curve) // 20 :])
            left.plot(np.arange(1, len(curve) + 1), curve, color=color, linewidth=1)
            mean, sd = curve[-LAST:].mean(), curve[-LAST:].std()
            right.errorbar(mean, i + 0.14 * j, xerr=sd, fmt="o", color=color, markersize=4)
    left.set_ylim(0.99 * min(curve.min() for curve in ends), max(curve.max() for curve in ends))
    left.set(xlabel="epoch", ylabel="held-out reconstruction error (nats a cell)", xscale="log")
    right.set_yticks(range(len(VARIANTS)), list(VARIANTS), fontsize=8)
    for label, color in zip(right.get_yticklabels(), COLORS, strict=True):
        label.set_color(color)
    right.invert_yaxis()
    right.set_xlabel(f"mean and SD of the last {LAST} epochs,\none point a seed (nats a cell)")
    _save(figure, path)


def _factors(outcome: Outcome, path: Path) -> None:
    """Fig. S3: correlations of the factors, and the spectrum of each model."""
    results = {variant: model_result(outcome, variant) for variant in VARIANTS}
    found = {variant: result for variant, result in results.items() if result is not None}
    figure, axes = plt.subplots(
        2,
        len(found),
        figsize=(2.5 * len(found) + 0.6, 4.6),
        layout="constrained",
        height_ratios=(1, 2),
        squeeze=False,
    )
    image = None
    for (above, below), (variant, result) in zip(axes.T, found.items(), strict=True):
        spectrum = result.array("spectrum")
        above.bar(np.arange(len(spectrum)), 100 * spectrum, color="#888888")
        above.set_title(variant.replace(", ", ",\n", 1), fontsize=8.5)
        above.set_xticks([])
        R = np.corrcoef(result.array("latent").T)
        image = below.imshow(R, cmap="PuOr_r", vmin=-1, vmax=1)
        below.set(xticks=[], yticks=[])
        below.set_xlabel(f"mean |r| = {result.values['mean_correlation']:.2f}", fontsize=8.5)
    axes[0, 0].set_ylabel("eigenvalue, %", fontsize=8.5)
    axes[1, 0].set_ylabel("factors", fontsize=8.5)
    if image is not None:
        figure.colorbar(image, ax=list(axes[1]), label="correlation", shrink=0.8)
    _save(figure, path)


def _axes(outcome: Outcome, folder: Path) -> None:
    """Fig. 1c: cells and genes on the factors that tell three types apart."""
    result = model_result(outcome, BEST)
    if result is None:
        return
    adata = cells(result.trial.settings).copy()
    restore(adata, result, key=KEY)
    if "cell_type" not in adata.obs:
        return
    pair, _ = best_pair(result.array("latent"), adata.obs["cell_type"])
    names = [f"Factor {i + 1}" for i in pair]
    types = adata.obs["cell_type"].astype(str)
    adata.obs["cell type"] = pd.Categorical(types.where(types.isin(three_types(adata.obs["cell_type"]))))
    ds.pl.density(adata, names, color="cell type", key=KEY, show=False, save=folder / "density.png")
    figure, ax = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
    ds.pl.terms(adata, names, color="cell type", key=KEY, ax=ax, show=False)
    _save(figure, folder / "cells.png")
    ds.pl.loadings(adata, names, key=KEY, show=False, save=folder / "loadings.png")
    plt.close("all")


def _times(outcome: Outcome, path: Path) -> None:
    """Fig. S5a: time against cells, with the fitted line."""
    figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
    for device, color in (("cpu", "#0072B2"), ("gpu", "#D55E00")):
        results = outcome.find(part="time", device=device, summed=1)
        if len(results) < 2:
            continue
        times = pd.DataFrame(
            {
                "cells": [result.trial.settings["n_cells"] for result in results],
                "seconds": [result.values["seconds_of_training"] for result in results],
            }
        )
        slope, constant, _ = fitted_line(times)
        label = f"{device.upper()}: {constant:.2g} s and {1e3 * slope:.2g} s per 1,000 cells"
        grid = np.geomspace(times["cells"].min(), times["cells"].max())
        ax.plot(grid, constant + slope * grid, color=color, linewidth=1, label=label)
        ax.plot(times["cells"], times["seconds"], "o", color=color, markersize=5)
    grid = np.array(ax.get_xlim())
    paper = np.array([max(grid[0], 1), grid[1]])
    ax.plot(
        paper,
        5e-3 * paper,
        color="#888888",
        linestyle="--",
        linewidth=1,
        label="paper, CPU: 5 s per 1,000 cells",
    )
    ax.set(xscale="log", yscale="log", xlabel="cells", ylabel=f"seconds of {N_EPOCHS_TIMED} epochs")
    ax.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _convergence(outcome: Outcome, path: Path) -> None:
    """Fig. S5b: what is left to the best error, against cells times epochs."""
    results = [*outcome.find(part="converge"), *outcome.find(part="fit", variant=BEST)[:1]]
    figure, ax = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    for result, color in zip(
        results, plt.colormaps["viridis"](np.linspace(0, 0.85, len(results))), strict=True
    ):
        curve, n = result.array("curve"), result.values["n_train"]
        left = 100 * (curve - curve.min()) / (curve[0] - curve.min())
        left = pd.Series(left).rolling(LAST, center=True, min_periods=1).median()
        ax.plot(n * np.arange(1, len(curve) + 1), left, color=color, linewidth=1, label=f"{n:,} cells")
    ax.axvline(1e6, color="#888888", linestyle="--", linewidth=1)
    ax.axhline(1, color="#888888", linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(0.2, 120)
    ax.set(xlabel="cells x epochs (dashed: the rule)", ylabel="error above the best, % of the way")
    ax.legend(frameon=False, fontsize=8)
    _save(figure, path)
