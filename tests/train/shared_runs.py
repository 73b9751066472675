"""Trains some models with minibatches of the same size, alone or as one of several processes.

``test_processes.py`` runs it: the first argument is the folder to write to, the second the number of
processes, the others say what to train.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scvi
import torch
from scipy import sparse

import distaff as ds

N_CELLS, N_GENES = 203, 40
BATCH_SIZE = 40  # in all processes; 183 cells train, so that the last minibatch has 23, an odd number

MODELS = {
    "linear": lambda adata: ds.model.LinearVAE(adata, n_latent=4),
    "annotated": lambda adata: ds.model.AnnotatedVAE(
        adata, lambda_off_mask=0.5, lambda_group=0.5, n_dense=1, n_sparse=1
    ),
    "capacity": lambda adata: ds.model.BetaVAE(adata, n_latent=4, n_hidden=16, beta=5.0, capacity=4.0),
    "spike and slab": lambda adata: ds.model.SparseVAE(adata, n_latent=4, n_hidden=16),
    "terms across cells": lambda adata: ds.model.FactorVAE(
        adata,
        n_latent=4,
        n_hidden=16,
        total_correlation=1.0,
        dip=(3.0, 3.0),
        hsic=5.0,
        use_observed_lib_size=False,
    ),
}


def make_adata() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 1.0, (N_CELLS, 4)) @ rng.gamma(0.5, 1.0, (4, N_GENES))
    counts = rng.poisson(rates).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"batch": pd.Categorical([f"b{i % 3}" for i in range(N_CELLS)]), "age": rng.normal(size=N_CELLS)},
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    var = pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)])
    adata = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    sets = {"A": adata.var_names[:12], "B": adata.var_names[12:24], "C": adata.var_names[20:36]}
    ds.pp.gene_sets(adata, sets)
    return adata


def make_model(name: str, adata: anndata.AnnData):
    for model_class in (ds.model.LinearVAE, ds.model.AnnotatedVAE, ds.model.BetaVAE, ds.model.SparseVAE):
        model_class.setup_anndata(adata, batch_key="batch", continuous_covariate_keys=["age"])
    ds.model.FactorVAE.setup_anndata(adata, batch_key="batch", continuous_covariate_keys=["age"])
    return MODELS[name](adata)


def train(name: str, n_processes: int, folder: Path) -> None:
    """Two runs, the second of which goes on with the same processes."""
    model = make_model(name, make_adata())
    options = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": BATCH_SIZE // n_processes}
    if n_processes > 1:
        options |= {"devices": n_processes, "strategy": "ddp"}
    model.train(3, seed=0, check_val_every_n_epoch=1, **options)
    model.train(1, seed=1, **options)
    found = {"weights": model.module.state_dict(), "history": model.history}
    torch.save(found, folder / f"{name} {model.trainer.global_rank}.pt")


def train_with_checkpoints(n_processes: int, folder: Path) -> None:
    """Until held-out cells are no longer better explained."""
    scvi.settings.logging_dir = folder / f"checkpoints {n_processes}"
    model = make_model("linear", make_adata())
    options = {"strategy": "ddp"} if n_processes > 1 else {}
    model.train(
        50,
        seed=0,
        accelerator="cpu",
        devices=n_processes,
        batch_size=BATCH_SIZE // n_processes,
        lr=0.2,
        early_stopping=True,
        early_stopping_patience=1,
        enable_checkpointing=True,
        enable_progress_bar=False,
        **options,
    )
    callback = model.trainer.checkpoint_callback
    found = {"n_epochs": len(model.history["validation_loss"]), "best": str(callback.best_model_path)}
    torch.save(found, folder / f"checkpoints {model.trainer.global_rank}.pt")


def train_on_other_cells(n_processes: int) -> str:
    """What is said when a process has cells in another order."""
    adata = make_adata()
    if os.environ.get("LOCAL_RANK", "0") != "0":
        adata = adata[::-1].copy()
    try:
        make_model("linear", adata).train(1, seed=0, accelerator="cpu", devices=n_processes, strategy="ddp")
    except ValueError as refusal:
        return str(refusal)
    return ""


def main(folder: Path, n_processes: int, names: list[str]) -> None:
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    for name in names:
        if name == "checkpoints":
            train_with_checkpoints(n_processes, folder)
        elif name == "other cells":
            assert "same cells and genes" in train_on_other_cells(n_processes)
        else:
            train(name, n_processes, folder)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
