"""Held-out reconstruction error of the linear models, beside scvi-tools' own, on pbmc3k.

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/recovery_linear.py``.
"""

from __future__ import annotations

import argparse
import warnings

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
import scvi
from _data import DATA, one_thread

import distaff as ds

OURS = {
    "VAE": (ds.model.BetaVAE, {"beta": 1.0}),
    "normal, batch norm": (ds.model.LinearVAE, {}),
    "normal": (ds.model.LinearVAE, {"batch_norm": False}),
    "logistic normal, batch norm": (ds.model.LinearVAE, {"latent": "logistic_normal"}),
    "logistic normal": (ds.model.LinearVAE, {"latent": "logistic_normal", "batch_norm": False}),
}
THEIRS = {
    "scvi VAE": (scvi.model.SCVI, {}),
    "scvi normal, batch norm": (scvi.model.LinearSCVI, {"use_batch_norm": True}),
    "scvi normal": (scvi.model.LinearSCVI, {"use_batch_norm": False}),
    "scvi logistic normal, batch norm": (
        scvi.model.LinearSCVI,
        {"use_batch_norm": True, "latent_distribution": "ln"},
    ),
    "scvi logistic normal": (scvi.model.LinearSCVI, {"use_batch_norm": False, "latent_distribution": "ln"}),
}


def main() -> None:
    """Print a row a model and seed as they come, then the means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--latent", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=[*OURS, *THEIRS])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    adata = sc.read_h5ad(DATA / "pbmc3k.h5ad")
    adata = adata[adata.obs["seurat_qc"].to_numpy(dtype=bool)].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=options.genes, flavor="seurat_v3", subset=True)
    sc.pp.filter_cells(adata, min_counts=1)
    one_thread()
    rows = []
    for seed in range(options.seeds):
        for name in options.models:
            rows.append({"model": name, "seed": seed, "error": held_out(adata, name, options, seed)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby("model", sort=False)["error"]
    print(table.agg(["mean", "std"]).round(2).to_string())


def held_out(adata: anndata.AnnData, name: str, options: argparse.Namespace, seed: int) -> float:
    """Reconstruction error in nats a cell, on a tenth of the cells that is the same for all models."""
    cls, arguments = (OURS | THEIRS)[name]
    rows = np.random.default_rng(seed).permutation(adata.n_obs)
    test, adata = adata[rows[: adata.n_obs // 10]].copy(), adata[rows[adata.n_obs // 10 :]].copy()
    cls.setup_anndata(adata)
    scvi.settings.seed = seed
    # LinearSCVI's own default is to learn the library size
    shared = {"n_hidden": 128, "n_layers": 1, "dropout_rate": 0.1, "use_observed_lib_size": True}
    model = cls(adata, n_latent=options.latent, **shared, **arguments)
    settings = {"max_epochs": options.epochs, "train_size": 1.0, "accelerator": "cpu"}
    if name in OURS:
        model.train(**settings, seed=seed, enable_progress_bar=False)
    else:
        warmup = {"n_epochs_kl_warmup": options.epochs // 2}  # as ours: scvi-tools' own is 400 epochs
        model.train(**settings, enable_progress_bar=False, plan_kwargs=warmup)
    draws = [model.get_reconstruction_error(test) for _ in range(20)]
    return abs(float(np.mean([draw["reconstruction_loss"] for draw in draws])))


if __name__ == "__main__":
    main()
