"""Trials of Svensson et al.: five decoders on held-out cells, time against cells, and convergence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import torch
from scipy import sparse

import distaff as ds
from distaff.papers._cells import checksum, pbmc3k, variable_genes
from distaff.papers._trials import Trial

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["KEY", "VARIANTS", "cells", "trials", "work"]

KEY = "run"
VARIANTS: dict[str, dict[str, Any]] = {
    "VAE": {},
    "LDVAE, normal, batch norm": {"latent": "normal", "batch_norm": True},
    "LDVAE, normal": {"latent": "normal", "batch_norm": False},
    "LDVAE, logistic normal, batch norm": {"latent": "logistic_normal", "batch_norm": True},
    "LDVAE, logistic normal": {"latent": "logistic_normal", "batch_norm": False},
}
BEST = "LDVAE, normal, batch norm"  # the paper's choice, and the model of its timings and figures
N_GENES = 1_000
RULE = 1_000_000  # cells times epochs of a first pass
N_EPOCHS_TIMED = 10
DENSER = 8  # cells whose counts are summed: data of the same size with more non-zeros
SMALL: dict[str, Any] = {
    "n_latent": 10,
    "n_seeds": 2,
    "epochs": None,  # by the rule
    "timed": (1_000, 2_000, 4_000, 8_000, 16_000),
    "converging": (1 / 8, 1 / 4, 1 / 2),
}
FULL: dict[str, Any] = {
    "n_latent": 20,
    "n_seeds": 3,
    "epochs": 100,
    "timed": (10_000, 20_000, 40_000, 80_000, 160_000),
    "converging": (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2),
}


def trials(full: bool, seed: int, data: Path | None = None) -> list[Trial]:  # noqa: FBT001
    """Models over seeds, then times, then curves; ``data`` is a file of counts in place of PBMC 3k."""
    preset = FULL if full else SMALL
    shared = {
        "n_latent": preset["n_latent"],
        "n_genes": N_GENES,
        "data": None if data is None else str(data),
        "checksum": None if data is None else checksum(data),
    }
    found = [
        Trial(
            f"{variant}, seed {seed + i}",
            {"part": "fit", "variant": variant, "seed": seed + i, "epochs": preset["epochs"], **shared},
        )
        for i in range(preset["n_seeds"])
        for variant in VARIANTS
    ]
    devices = ["cpu", *(["gpu"] if torch.cuda.is_available() else [])]
    for device in devices:
        sizes = [(n, 1) for n in preset["timed"]] + [(preset["timed"][-2], DENSER)]
        for n_cells, summed in sizes:
            name = f"time of {n_cells:,} cells on the {device}" + (", denser" if summed > 1 else "")
            settings = {"part": "time", "n_cells": n_cells, "summed": summed, "device": device}
            found.append(Trial(name, {**settings, "seed": seed, **shared}))
    for share in preset["converging"]:
        settings = {"part": "converge", "share": share, "seed": seed, "epochs": None}
        found.append(Trial(f"convergence with {share:.3g} of the cells", {**settings, **shared}))
    return found


def cells(settings: Mapping[str, Any]) -> AnnData:
    """Cells of a trial before any are left out, the same object for all: do not change its counts."""
    if settings["data"] is None:
        return pbmc3k(settings["n_genes"])
    return _read(settings["data"], settings["n_genes"])


@lru_cache(maxsize=1)
def _read(path: str, n_genes: int) -> AnnData:
    adata = anndata.read_h5ad(path)
    ds.pp.check_counts(adata)
    return adata if adata.n_vars <= n_genes else variable_genes(adata, n_genes)


def work(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Do a trial."""
    return {"fit": _fit, "time": _time, "converge": _converge}[settings["part"]](settings)


def _fit(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Held-out error of a model by epoch, its latent, and how that matches what is known of the cells."""
    adata = cells(settings)
    model, found = _train(adata, settings, settings["epochs"] or "1e6/N", settings["variant"])
    Z = model.get_latent_representation()
    scaled = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-12)
    found |= {
        "latent": Z,
        "mean_correlation": ds.metrics.factor_correlation(Z).value,
        "spectrum": ds.metrics.variance_explained(scaled).components.to_numpy(),
    }
    if settings["variant"] != "VAE":
        found |= {"loadings": model.get_loadings().to_numpy()}
    if "cell_type" in adata.obs:
        types = adata.obs[["cell_type"]]
        found["accuracy"] = ds.metrics.single_dimension_accuracy(Z, types).value
        found["lms"] = ds.metrics.lms(ds.metrics.smi(Z, types)).value
    return found


def _train(
    adata: AnnData, settings: Mapping[str, Any], epochs: int | str, variant: str
) -> tuple[Any, dict[str, Any]]:
    """Train a model on nine tenths of the cells, and follow the error of the others."""
    model_class = ds.model.BetaVAE if variant == "VAE" else ds.model.LinearVAE
    options = {"beta": 1.0} if variant == "VAE" else VARIANTS[variant]
    model_class.setup_anndata(adata)
    model = model_class(adata, n_latent=settings["n_latent"], **options)
    model.train(
        epochs,
        seed=settings["seed"],
        check_val_every_n_epoch=1,
        enable_progress_bar=False,
    )
    curve = model.history["reconstruction_loss_validation"].iloc[:, 0].to_numpy(dtype=float)
    return model, {"curve": curve, "n_train": len(model.train_indices)}


def _time(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of ten epochs: on the CPU those of the processor, which a busy neighbour does not change."""
    adata = _drawn(cells(settings), settings["n_cells"], settings["summed"], settings["seed"])
    few = adata[:300].copy()
    for data in (few, adata):  # the first one compiles
        ds.model.LinearVAE.setup_anndata(data)
        model = ds.model.LinearVAE(data, n_latent=settings["n_latent"])
        clock = time.process_time if settings["device"] == "cpu" else time.perf_counter
        start = clock()
        model.train(
            N_EPOCHS_TIMED,
            train_size=1.0,
            seed=settings["seed"],
            accelerator=settings["device"],
            enable_progress_bar=False,
        )
        seconds = clock() - start
    return {"seconds_of_training": seconds, "non_zero": adata.X.nnz / np.prod(adata.shape)}


def _drawn(adata: AnnData, n_cells: int, summed: int, seed: int) -> AnnData:
    """Cells drawn at random, again and again where there are too few; each the sum of some if asked."""
    rng = np.random.default_rng(seed)
    X = sparse.csr_matrix((n_cells, adata.n_vars), dtype=np.float32)
    for _ in range(summed):
        rows = (
            rng.permutation(adata.n_obs)
            if adata.n_obs >= n_cells
            else rng.integers(adata.n_obs, size=n_cells)
        )
        X = X + sparse.csr_matrix(adata.X[np.sort(rows[:n_cells])])
    drawn = anndata.AnnData(X.astype(np.float32), var=adata.var[[]])
    drawn.obs_names = [f"drawn {i}" for i in range(n_cells)]
    return drawn


def _converge(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Error of held-out cells by epoch, for a part of the cells, as long as the rule says."""
    adata = cells(settings)
    rng = np.random.default_rng(settings["seed"])
    rows = np.sort(rng.permutation(adata.n_obs)[: round(settings["share"] * adata.n_obs)])
    part = adata[rows].copy()
    return _train(part, settings, max(1, RULE // part.n_obs), BEST)[1] | {"n_cells": part.n_obs}
