"""One model a trial: trained on simulated cells or on blood cells, and scored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import distaff as ds
from distaff.papers._trials import Trial

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BETAS", "CAPACITIES", "cells", "trials", "work"]

BETAS = (1, 2, 5, 10, 20, 50)
CAPACITIES = (0, 10)
KEY = "run"
SIMULATION = "simulation"

# What differs between the presets. The paper does not say how many genes of the blood cells it modelled.
SMALL: dict[str, Any] = {
    "n_seeds": 3,
    "lr_schedule": [[120, 1e-3], [30, 1e-4]],
    "capacity_steps": 600,
    "data": {
        SIMULATION: {"n_cells": 1000, "n_genes": 1000},
    },
}
FULL: dict[str, Any] = {
    "n_seeds": 10,
    "lr_schedule": [[400, 1e-4], [200, 1e-5]],
    "capacity_steps": 20_000,
    "data": {
        SIMULATION: {"n_cells": 10_000, "n_genes": 25_000},
    },
}


def trials(full: bool, seed: int) -> list[Trial]:  # noqa: FBT001
    """All models: every beta with every capacity, over seeds, on both data sets."""
    preset = FULL if full else SMALL
    found = []
    for source, size in preset["data"].items():
        for capacity in CAPACITIES:
            for beta in BETAS:
                for i in range(preset["n_seeds"]):
                    settings = {
                        "data": source,
                        **size,
                        "data_seed": seed,
                        "beta": beta,
                        "capacity": capacity,
                        "seed": seed + i,
                        "lr_schedule": preset["lr_schedule"],
                        "capacity_steps": preset["capacity_steps"],
                        "keep_latent": i == 0 and capacity == 0,  # for the figures
                    }
                    name = f"{source} beta {beta} C {capacity} seed {seed + i}"
                    found.append(Trial(name, settings))
    return found


def cells(settings: Mapping[str, Any]) -> AnnData:
    """Cells of a trial, the same object for all trials on the same cells: do not change its counts."""
    return _simulated(settings["n_cells"], settings["n_genes"], settings["data_seed"])


@lru_cache(maxsize=1)
def _simulated(n_cells: int, n_genes: int, seed: int) -> AnnData:
    """Cells with the scores of the true programs, the factors of the paper."""
    adata = ds.datasets.simulate_gep(n_cells, n_genes, random_state=seed)
    in_program = adata.varm["program_effects"] != 1
    sets = {name: list(adata.var_names[in_program[name]]) for name in in_program}
    ds.tl.gep_score(adata, sets, random_state=seed)
    return adata


def work(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train a model and score its dimensions."""
    adata = cells(settings)
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(
        adata,
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
    Z = adata.obsm[f"X_{KEY}"]
    units = ds.metrics.active_units(Z)
    found = {"n_active": units.value, **_match(adata, Z, settings)}
    return found | ({"latent": Z} if settings["keep_latent"] else {})


def _match(adata: AnnData, Z: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of the paper: correlations, clusters against cell types, cell types by single dimensions."""
    seed = settings["seed"]
    factors = adata.obsm["gep_score"] if settings["data"] == SIMULATION else adata.obs[["condition"]]
    match = ds.metrics.max_spearman(Z, factors)
    clusters = ds.metrics.cluster_agreement(Z, adata.obs["cell_type"], random_state=seed)
    types = ds.metrics.single_dimension_accuracy(Z, adata.obs[["cell_type"]], random_state=seed)
    return {
        "spearman": match.per_factor.to_dict(),
        "ari": clusters.value,
        "ari_curve": clusters.curve.set_index("resolution")["ari"].to_dict(),
        "accuracy": types.per_factor.to_dict(),
    }
