"""One model a trial: trained on simulated cells or on blood cells, and scored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import distaff as ds
from distaff.papers._cells import variable_genes
from distaff.papers._trials import Trial

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BLOOD", "SIMULATION", "cells", "trials", "work"]

BETAS = (1, 2, 5, 10, 20, 50)
SIMULATION, BLOOD = "simulation", "kang"
CAPACITIES = {SIMULATION: (0, 10), BLOOD: (0,)}  # the paper varies beta alone on the blood cells
N_LATENT, N_HIDDEN = 32, 128
MIN_CELLS = 10  # of a cell type that is scored
KEY = "run"

# What differs between the presets; epochs of the small one make 1,200 optimiser steps.
SMALL: dict[str, Any] = {
    "n_seeds": 4,
    "capacity_steps": 600,
    SIMULATION: {"n_cells": 1000, "n_genes": 1000, "lr_schedule": [[120, 1e-3], [30, 1e-4]]},
    BLOOD: {"n_cells": 2000, "n_genes": 1000, "lr_schedule": [[60, 1e-3], [15, 1e-4]]},
}
PAPERS_SCHEDULE = [[400, 1e-4], [200, 1e-5]]
FULL: dict[str, Any] = {
    "n_seeds": 10,
    "capacity_steps": 20_000,
    SIMULATION: {"n_cells": 10_000, "n_genes": 25_000, "lr_schedule": PAPERS_SCHEDULE},
    BLOOD: {"n_cells": 0, "n_genes": 0, "lr_schedule": PAPERS_SCHEDULE},  # all
}


def trials(full: bool, seed: int) -> list[Trial]:  # noqa: FBT001
    """All models: every beta with every capacity, over seeds, on both data sets."""
    preset = FULL if full else SMALL
    return [
        Trial(
            f"{data} beta {beta} C {capacity} seed {number}",
            {
                "data": data,
                **preset[data],
                "data_seed": seed,
                "beta": beta,
                "capacity": capacity,
                "capacity_steps": preset["capacity_steps"],
                "seed": number,
                "keep_latent": number == seed and capacity == 0,  # for the figures
            },
        )
        for data, capacities in CAPACITIES.items()
        for capacity in capacities
        for beta in BETAS
        for number in range(seed, seed + preset["n_seeds"])
    ]


def cells(settings: Mapping[str, Any]) -> AnnData:
    """Cells of a trial, with the factors of the paper: one object for all trials on the same cells."""
    make = _simulated if settings["data"] == SIMULATION else _blood
    return make(settings["n_cells"], settings["n_genes"], settings["data_seed"])


@lru_cache(maxsize=1)
def _simulated(n_cells: int, n_genes: int, seed: int) -> AnnData:
    """Cells with the scores of the true programs, ``obsm["gep_score"]``."""
    adata = ds.datasets.simulate_gep(n_cells, n_genes, random_state=seed)
    in_program = adata.varm["program_effects"] != 1
    sets = {name: list(adata.var_names[in_program[name]]) for name in in_program}
    ds.tl.gep_score(adata, sets, random_state=seed)
    return adata


@lru_cache(maxsize=1)
def _blood(n_cells: int, n_genes: int, seed: int) -> AnnData:
    """Blood cells with and without interferon: so many, drawn at random, or all (0)."""
    adata = ds.datasets.kang()
    if 0 < n_genes < adata.n_vars:
        adata = variable_genes(adata, n_genes)
    if 0 < n_cells < adata.n_obs:
        adata = adata[np.sort(np.random.default_rng(seed).permutation(adata.n_obs)[:n_cells])].copy()
    types = adata.obs["cell_type"].value_counts()
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.set_categories(list(types.index[types >= MIN_CELLS]))
    return adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()


def work(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train a model and score its dimensions."""
    adata = cells(settings).copy()
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(
        adata,
        n_latent=N_LATENT,
        n_hidden=N_HIDDEN,
        beta=settings["beta"],
        capacity=settings["capacity"],
        capacity_steps=settings["capacity_steps"],
    )
    model.train(
        lr_schedule=settings["lr_schedule"],
        train_size=1.0,
        seed=settings["seed"],
        enable_progress_bar=False,
    )
    ds.tl.latent(adata, model, key=KEY)
    found = _scores(adata, settings)
    return found | ({"latent": adata.obsm[f"X_{KEY}"]} if settings["keep_latent"] else {})


def _scores(adata: AnnData, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of the paper, over all dimensions as there, and correlations over those that the model uses."""
    Z, seed = adata.obsm[f"X_{KEY}"], settings["seed"]
    units = adata.uns[KEY]["factors"]
    active = units["active"].to_numpy(dtype=bool)
    factors = adata.obsm["gep_score"] if settings["data"] == SIMULATION else adata.obs[["condition"]]
    match = ds.metrics.max_spearman(Z, factors)
    clusters = ds.metrics.cluster_agreement(Z, adata.obs["cell_type"], random_state=seed)
    types = ds.metrics.single_dimension_accuracy(Z, adata.obs["cell_type"].to_numpy(), random_state=seed)
    accuracy = types.per_factor.rename(lambda name: name.split(": ", 1)[-1])
    return {
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "n_active": int(active.sum()),
        "kl": float(units["kl"].sum()),
        "spearman": match.per_factor.to_dict(),
        "spearman_active": ds.metrics.max_spearman(Z * active, factors).per_factor.to_dict(),
        "specificity": _specificity(match.matrix),
        "ari": clusters.value,
        "curve": clusters.curve[["resolution", "ari"]].to_numpy().tolist(),
        "accuracy": accuracy.to_dict(),
    }


def _specificity(matrix: Any) -> float:
    """How much more the best dimension of a program follows it than any other program: mean over programs.

    This puts a number to the paper's look at its figure 1D.
    """
    values = matrix.to_numpy()
    gaps = []
    for i in range(values.shape[1]):
        row = values[values[:, i].argmax()]
        gaps.append(row[i] - np.delete(row, i).max(initial=0.0))
    return float(np.mean(gaps))
