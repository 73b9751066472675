"""Trials of Rybakov et al.: autoencoders with gene sets, and f-scLVM, on cells with and without IFN."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from lightning.pytorch.callbacks import Callback
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import distaff as ds
from distaff._checks import error
from distaff.papers._cells import checksum, variable_genes
from distaff.papers._trials import Trial

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["LABELS", "MODELS", "PAPER", "cells", "trials", "work"]

REACTOME = "reactome_c2cp_v4.0.symbols.gmt"  # the version of the paper
MIN_GENES = 13  # the paper's code takes sets with more than twelve genes
N_GENES = 1_000
HELD_OUT = 0.2
LABELS = {"condition": "stim", "cell_type": "B cells"}  # what a term stands for: interferon, B cells

PAPER, OURS, BASELINE = "autoencoder, paper", "AnnotatedVAE, defaults", "f-scLVM"
MODELS: dict[str, dict[str, Any]] = {
    PAPER: {},
    OURS: {},
    BASELINE: {"n_dense": 0},
    f"{BASELINE}, 3 dense": {"n_dense": 3},
}
AS_PUBLISHED: dict[str, Any] = {  # theislab/intercode, its example on these cells
    "latent": "deterministic",
    "likelihood": "normal",
    "dispersion": "fixed",
    "prox": "paper",
    "n_hidden": 400,
    "n_layers": 2,
    "dropout_rate": 0.2,
    "lambda_latent": 0.1,
    "lambda_off_mask": 0.93,
    "lambda_group": 0.57,
}
BATCH_SIZE = 62
LR = 1e-3
STEPS_OF_AN_EPOCH = 13_500 // BATCH_SIZE  # in the paper; its code runs 30 of them
SMALL: dict[str, Any] = {"n_seeds": 2, "n_cells": None, "epochs_published": 15, "epochs": None}
FULL: dict[str, Any] = {"n_seeds": 5, "n_cells": 13_500, "epochs_published": 30, "epochs": None}


def trials(
    full: bool,  # noqa: FBT001
    seed: int,
    data: Path | None = None,
    gene_sets: Path | None = None,
) -> list[Trial]:
    """Each model over seeds; ``data`` are cells with ``condition`` and ``cell_type``."""
    preset = FULL if full else SMALL
    sets = gene_sets or _reactome()
    shared = {
        "n_genes": N_GENES,
        "n_cells": preset["n_cells"],
        "epochs_published": preset["epochs_published"],  # of the paper's model, on its number of cells
        "epochs": preset["epochs"],  # of the others; None for their defaults
        "data": None if data is None else str(data),
        "checksum": None if data is None else checksum(data),
        "gene_sets": str(sets),
        "checksum_of_sets": checksum(sets),
    }
    return [
        Trial(f"{model}, seed {seed + i}", {"model": model, "seed": seed + i, **shared})
        for model in MODELS
        for i in range(1 if model.startswith(BASELINE) else preset["n_seeds"])
    ]


def _reactome() -> Path:
    file = Path(os.environ.get("DISTAFF_DATA", "")) / REACTOME
    if not file.is_file():
        raise error(
            "gene_sets must be a file of gene sets",
            got=f"none, and no {REACTOME} in the folder that DISTAFF_DATA names",
            fix="Download Reactome from https://www.gsea-msigdb.org and pass it: --gene-sets FILE.gmt",
            kind=FileNotFoundError,
        )
    return file


def cells(settings: Mapping[str, Any]) -> AnnData:
    """Cells of a trial, the same object for all trials on the same cells: do not change its counts."""
    return _cells(settings["data"], settings["gene_sets"], settings["n_genes"], settings["n_cells"])


@lru_cache(maxsize=1)
def _cells(path: str | None, gene_sets: str, n_genes: int, n_cells: int | None) -> AnnData:
    """Variable genes among those in a set, with the sets; log-normalised and centred in a layer."""
    adata = ds.datasets.kang() if path is None else anndata.read_h5ad(path)
    ds.pp.check_counts(adata)
    if n_cells is not None and adata.n_obs > n_cells:
        rows = np.random.default_rng(0).permutation(adata.n_obs)[:n_cells]
        adata = adata[np.sort(rows)].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of sets that are alike: they only choose genes
        ds.pp.gene_sets(adata, gene_sets, min_genes=1)
    in_a_set = adata.varm["gene_sets"].to_numpy().any(axis=1)
    adata = variable_genes(adata[:, in_a_set].copy(), n_genes)
    ds.pp.gene_sets(adata, gene_sets, min_genes=MIN_GENES)
    logged = adata.copy()
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    X = logged.X.toarray()
    adata.layers["centred"] = (X - X.mean(axis=0)).astype(np.float32)
    return adata


def work(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train a model on four fifths of the cells, and see which term stands for what in all of them."""
    adata = cells(settings)
    rng = np.random.default_rng(settings["seed"])
    held_out = np.zeros(adata.n_obs, dtype=bool)
    held_out[rng.permutation(adata.n_obs)[: round(HELD_OUT * adata.n_obs)]] = True
    training = adata[~held_out].copy()
    start = time.process_time()
    model, by_epoch = _train(training, settings)
    seconds = time.process_time() - start
    start = time.process_time()
    Z = np.zeros((adata.n_obs, len(model.factor_names)), dtype=np.float32)
    Z[~held_out] = model.get_latent_representation()
    Z[held_out] = model.get_latent_representation(adata[held_out].copy())
    loadings = model.get_loadings()
    table = pd.DataFrame(Z, columns=model.factor_names)
    truth = _truth(adata)
    return {
        "latent": Z,
        "loadings": loadings.to_numpy(),
        "held_out": held_out,
        "factor_names": model.factor_names,
        "seconds_of_training": seconds,
        "seconds_to_map": time.process_time() - start,
        "by_epoch": by_epoch,
        "norm": dict(zip(model.factor_names, np.linalg.norm(loadings.to_numpy(), axis=0), strict=True)),
        "accuracy": {name: _accuracies(table, y) for name, y in truth.items()},
        "new_cells": {name: _on_new_cells(table, y, held_out) for name, y in truth.items()},
    }


def _truth(adata: AnnData) -> dict[str, pd.Series]:
    """Whether a cell is stimulated, and whether it is a B cell; missing where it is not known."""
    found = {}
    for column, value in LABELS.items():
        labels = adata.obs[column].reset_index(drop=True)
        found[column] = (labels.astype(str) == value).astype(float).where(labels.notna())
    return found


def _accuracies(table: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    """Accuracy of each term by itself on the cells that its threshold was fitted to, as in the paper."""
    known = y.notna().to_numpy()
    labels = y[known].astype(bool).reset_index(drop=True).rename("y")
    score = ds.metrics.single_dimension_accuracy(
        table[known].reset_index(drop=True), labels.to_frame(), cv=None
    )
    return score.matrix.iloc[:, 0].to_dict()


def _on_new_cells(table: pd.DataFrame, y: pd.Series, held_out: np.ndarray) -> dict[str, Any]:
    """Accuracy of the best term on cells of the training, and with that threshold on those held out."""
    known = y.notna().to_numpy()
    best = max((accuracies := _accuracies(table[~held_out], y[~held_out])), key=lambda term: accuracies[term])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    old, new = known & ~held_out, known & held_out
    model.fit(table.loc[old, [best]], y[old])
    return {
        "term": best,
        "training": float(model.score(table.loc[old, [best]], y[old])),
        "held out": float(model.score(table.loc[new, [best]], y[new])),
    }


# --- models ----------------------------------------------------------------------------------------


class _Sparsity(Callback):
    """Share of exact zeros outside the sets, and terms that are off, after each epoch."""

    def __init__(self, model: Any, outside: np.ndarray) -> None:
        self._model, self._outside = model, outside
        self.zeros: list[float] = []
        self.off: list[int] = []

    def on_train_epoch_end(self, *_: Any) -> None:
        weights = self._model.get_loadings().to_numpy()
        self.zeros.append(float((weights[self._outside] == 0).mean()))
        self.off.append(int((weights == 0).all(axis=0).sum()))


def _train(adata: AnnData, settings: Mapping[str, Any]) -> tuple[Any, dict[str, list[Any]]]:
    run = {"seed": settings["seed"], "enable_progress_bar": False, "train_size": 1.0}
    run |= {"max_epochs": settings["epochs"]}
    if settings["model"].startswith(BASELINE):
        ds.model.FSCLVM.setup_anndata(adata)
        model = ds.model.FSCLVM(adata, **MODELS[settings["model"]])
        model.train(**run)
        return model, {}
    if settings["model"] == PAPER:
        ds.model.AnnotatedVAE.setup_anndata(adata, layer="centred", allow_non_integer=True)
        model = ds.model.AnnotatedVAE(adata, **AS_PUBLISHED)
        steps_per_epoch = -(-adata.n_obs // BATCH_SIZE)
        n_steps = settings["epochs_published"] * STEPS_OF_AN_EPOCH
        run |= {"max_epochs": round(n_steps / steps_per_epoch), "batch_size": BATCH_SIZE, "lr": LR}
        run |= {"eps": 1e-8, "weight_decay": 0.0}
    else:
        ds.model.AnnotatedVAE.setup_anndata(adata)
        model = ds.model.AnnotatedVAE(adata)
    follower = _Sparsity(model, adata.varm["gene_sets"].to_numpy() == 0)
    model.train(**run, callbacks=[follower])
    return model, {"zeros": follower.zeros, "off": follower.off}
