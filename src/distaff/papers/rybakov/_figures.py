"""Figures of Rybakov et al."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import distaff as ds
from distaff.papers._cells import restore
from distaff.papers._trials import Outcome, Result
from distaff.papers.rybakov._tables import COLLECTION, by_term, first, interferon_terms
from distaff.papers.rybakov._work import LABELS, MODELS, OURS, PAPER, cells

__all__ = ["draw"]

KEY = "run"
COLORS = dict(zip(MODELS, ("#0072B2", "#E69F00", "#009E73", "#D55E00"), strict=True))
N_NORMS = 15


def draw(outcome: Outcome, folder: Path) -> None:
    """Draw what there are results for."""
    for name, model in (("paper", PAPER), ("defaults", OURS)):
        result = first(outcome, model)
        if result is not None:
            _terms(result, folder / f"terms_{name}.png")
    _accuracies(outcome, folder / "accuracies.png")
    _sparsity(outcome, folder / "sparsity.png")
    _norms(outcome, folder / "norms.png")
    _new_cells(outcome, folder / "new_cells.png")


def _readable(term: str) -> str:
    return term.removeprefix(COLLECTION).replace("_", " ").lower()


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _terms(result: Result, path: Path) -> None:
    """Fig. 1: the best terms for interferon and for B cells, cells coloured by condition and by cell type."""
    adata = cells(result.trial.settings).copy()
    restore(adata, result, key=KEY)
    best = {column: pd.Series(result.values["accuracy"][column], dtype=float) for column in LABELS}
    first_term = best["condition"].idxmax()
    second_term = best["cell_type"].drop(first_term).idxmax()
    colors = [column for column in LABELS if column in adata.obs]
    ds.pl.terms(adata, [first_term, second_term], color=colors, key=KEY, show=False, save=path)
    plt.close("all")


def _accuracies(outcome: Outcome, path: Path) -> None:
    """Fig. 2: accuracy of each interferon term, all models and seeds."""
    found = [(r.trial.settings["model"], by_term(r.values["accuracy"]["condition"])) for r in outcome.results]
    terms = interferon_terms(found[0][1].index)
    if not terms:
        return
    order = sorted(terms, key=lambda term: -max(float(values.get(term, 0.5)) for _, values in found))
    figure, ax = plt.subplots(figsize=(8.2, 0.32 * len(order) + 1.3), layout="constrained")
    for i, model in enumerate(MODELS):
        for j, (_, values) in enumerate(v for v in found if v[0] == model):
            places = np.arange(len(order)) + 0.16 * (i - 1.5)
            label = None if j else model
            ax.plot(values[order], places, "o", color=COLORS[model], markersize=4, alpha=0.8, label=label)
    ax.axvline(0.5, color="#888888", linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(order)), [_readable(term) for term in order], fontsize=7.5)
    ax.invert_yaxis()
    ax.set_xlabel("accuracy, stimulated or not, from this term alone")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    _save(figure, path)


def _sparsity(outcome: Outcome, path: Path) -> None:
    """Exact zeros outside the sets, and terms that are off, by epoch."""
    results = [r for model in (PAPER, OURS) for r in outcome.find(model=model)]
    if not results:
        return
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.2), layout="constrained")
    seen = set()
    for result in results:
        model, curves = result.trial.settings["model"], result.values["by_epoch"]
        label = None if model in seen else model
        seen.add(model)
        epochs = np.arange(1, len(curves["zeros"]) + 1)
        axes[0].plot(epochs, 100 * np.array(curves["zeros"]), color=COLORS[model], linewidth=1, label=label)
        off = 100 * np.array(curves["off"]) / len(result.values["norm"])
        axes[1].plot(epochs, off, color=COLORS[model], linewidth=1)
    for ax, name in zip(axes, ("exact zeros outside the sets, %", "terms switched off, %"), strict=True):
        ax.set(xlabel="epoch", ylabel=name, xscale="log")
    axes[0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _norms(outcome: Outcome, path: Path) -> None:
    """The largest terms by the norm of their loadings."""
    results = {model: first(outcome, model) for model in (PAPER, OURS)}
    found = {model: result for model, result in results.items() if result is not None}
    if not found:
        return
    figure, axes = plt.subplots(
        1, len(found), figsize=(5.6 * len(found), 3.6), layout="constrained", squeeze=False
    )
    for ax, (model, result) in zip(axes[0], found.items(), strict=True):
        norm = by_term(result.values["norm"]).sort_values(ascending=False)[:N_NORMS]
        ax.barh(np.arange(len(norm)), norm, color=COLORS[model])
        names = [_readable(name) for name in norm.index]
        ax.set_yticks(range(len(norm)), [n if len(n) < 48 else n[:46] + "…" for n in names], fontsize=7)
        ax.invert_yaxis()
        ax.set_title(model, fontsize=9)
        ax.set_xlabel("norm of the loadings")
    _save(figure, path)


def _new_cells(outcome: Outcome, path: Path) -> None:
    """The best term of the paper's model, for cells of the training and for those held out."""
    result = first(outcome, PAPER)
    if result is None:
        return
    conditions = cells(result.trial.settings).obs["condition"].astype(str).to_numpy()
    term = result.values["new_cells"]["condition"]["term"]
    values = result.array("latent")[:, result.values["factor_names"].index(term)]
    held_out = result.array("held_out")
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.8), layout="constrained", sharex=True)
    edges = np.linspace(float(np.quantile(values, 0.002)), float(np.quantile(values, 0.998)), 40)
    for ax, rows, name in zip(axes, (~held_out, held_out), ("training cells", "cells held out"), strict=True):
        for label, color in zip(sorted(set(conditions)), COLORS.values(), strict=False):
            shown = values[rows & (conditions == label)]
            ax.hist(shown, edges, density=True, color=color, alpha=0.55, label=label)
        ax.set(title=f"{int(rows.sum()):,} {name}", xlabel=_readable(term), yticks=[])
    axes[0].legend(frameon=False, fontsize=8)
    _save(figure, path)
