"""Figures 1 and 2 of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc

import distaff as ds
from distaff.papers._trials import Outcome
from distaff.papers.kimmel._runs import by_program, by_type, runs
from distaff.papers.kimmel._work import BLOOD, SIMULATION, cells

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["draw"]

N_COMPONENTS, N_COUNTS = 30, 1e4  # of the data's own UMAP
FACTORS = {SIMULATION: ["gep_score"], BLOOD: ["condition", "cell_type"]}
METRICS = {SIMULATION: "max_spearman", BLOOD: "single_dimension_accuracy"}
SHOWN = {SIMULATION: (1, 10), BLOOD: (1, 2)}  # betas of figures 1D and 2E
NUMBER = {SIMULATION: 1, BLOOD: 2}  # of the figure


def draw(outcome: Outcome, folder: Path) -> None:
    """Write those figures whose runs are there."""
    for data in (SIMULATION, BLOOD):
        if not outcome.find(data=data):
            continue
        kept = {beta: outcome.find(data=data, beta=beta, keep_latent=True) for beta in SHOWN[data]}
        _draw_cells(outcome, data, kept, folder)
        _draw_curves(outcome, data, folder)


def _draw_cells(outcome: Outcome, data: str, kept: dict[int, list[Any]], folder: Path) -> None:
    """UMAP of the data by truth (1A, 1B, 2A), and by the best dimension of each factor (1D, 2E)."""
    adata = cells(outcome.find(data=data)[0].trial.settings).copy()
    _embed(adata)
    columns = ["cell_type"]
    if data == SIMULATION:
        adata.obs = adata.obs.join(adata.obsm["gep_score"])
        columns += list(adata.obsm["gep_score"].columns)
    else:
        columns.append("condition")
    figure = sc.pl.umap(adata, color=columns, ncols=4, wspace=0.5, frameon=False, show=False, return_fig=True)
    _save(figure, folder / f"figure_{NUMBER[data]}_cells.png")
    for beta, results in kept.items():
        for result in results:
            key = f"beta_{beta}"
            adata.obsm[f"X_{key}"] = result.array("latent")
            ds.tl.disentanglement(adata, FACTORS[data], key=key, metrics=METRICS[data], references=None)
            axes = ds.pl.latent(adata, key=key, basis="umap", metric=METRICS[data], show=False)
            _save(np.ravel(axes)[0].figure, folder / f"figure_{NUMBER[data]}_dimensions_beta_{beta}.png")


def _embed(adata: AnnData) -> None:
    """UMAP of principal components of log counts, of the data themselves and of no model."""
    scratch = adata.copy()
    sc.pp.normalize_total(scratch, target_sum=N_COUNTS)
    sc.pp.log1p(scratch)
    sc.pp.pca(scratch, n_comps=min(N_COMPONENTS, *(n - 1 for n in scratch.shape)), random_state=0)
    sc.pp.neighbors(scratch, random_state=0)
    sc.tl.umap(scratch, random_state=0)
    adata.obsm["X_umap"] = scratch.obsm["X_umap"]


def _draw_curves(outcome: Outcome, data: str, folder: Path) -> None:
    """Scores against beta (1C, 2B to 2D), and against each other."""
    whole = runs(outcome, data).rename(columns={"spearman": "max_spearman"})
    number = NUMBER[data]
    if data == SIMULATION:
        table = _long(by_program(outcome, data), "program", "max |Spearman|")
        for capacity, part in table.groupby("capacity"):
            axes = ds.pl.tradeoff(part, "max |Spearman|", hue="program", show=False)
            axes[0].set_title(f"C = {capacity}", fontsize=9)
            _save(axes[0].figure, folder / f"figure_{number}_correlation_C_{capacity}.png")
    else:
        table = _long(by_type(outcome, data), "cell type", "accuracy of one dimension")
        axes = ds.pl.tradeoff(table, "accuracy of one dimension", hue="cell type", show=False)
        _save(axes[0].figure, folder / f"figure_{number}_accuracy.png")
        axes = ds.pl.tradeoff(whole, ["max_spearman", "ari"], show=False)
        _save(axes[0].figure, folder / f"figure_{number}_condition_and_clusters.png")
        _draw_resolutions(outcome, data, folder / f"figure_{number}_resolutions.png")
    match = "max_spearman" if data == SIMULATION else "accuracy"
    axes = ds.pl.tradeoff(whole, match, against="ari", show=False)
    _save(axes[0].figure, folder / f"figure_{number}_tradeoff.png")


def _long(wide: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    return wide.melt(["data", "capacity", "beta", "seed"], var_name=name, value_name=value)


def _draw_resolutions(outcome: Outcome, data: str, path: Path) -> None:
    """Agreement of clusters with cell types over the resolutions, means over seeds."""
    rows = [
        {"beta": result.trial.settings["beta"], "resolution": resolution, "ARI": ari}
        for result in outcome.find(data=data)
        for resolution, ari in result.values["curve"]
    ]
    curves = pd.DataFrame(rows).pivot_table(index="resolution", columns="beta", values="ARI")
    figure, ax = plt.subplots(figsize=(4.2, 2.8), layout="constrained")
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, curves.shape[1]))
    for (beta, curve), color in zip(curves.items(), colors, strict=True):
        ax.plot(curve.index, curve, color=color, label=f"{beta:g}")
    ax.set(xlabel="resolution of Leiden", ylabel="ARI with cell types")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(title="beta", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
