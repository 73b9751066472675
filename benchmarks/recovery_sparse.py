"""Does the spike-and-slab latent keep its target, and find which cells use which program?

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/recovery_sparse.py``.
"""

from __future__ import annotations

import argparse
import warnings

import anndata
import numpy as np
import pandas as pd
from _data import kang, one_thread, simulated
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

import distaff as ds


def main() -> None:
    """Print a row a model and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("kang", "simulated"), default="simulated")
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--targets", type=float, nargs="*", default=[2.0, 3.0, 6.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in range(options.seeds):
        adata, Y = (
            kang(options.genes) if options.data == "kang" else simulated(options.cells, options.genes, seed)
        )
        one_thread()
        for target in options.targets:
            print({"seed": seed, **sparse(adata, Y, options, seed, target)}, flush=True)
        print({"seed": seed, **dense(adata, Y, options, seed)}, flush=True)


def sparse(
    adata: anndata.AnnData, Y: pd.DataFrame, options: argparse.Namespace, seed: int, target: float
) -> dict[str, object]:
    """Dimensions on in a cell, and the matched AUROC of the inclusion probabilities."""
    ds.model.SparseVAE.setup_anndata(adata)
    model = ds.model.SparseVAE(adata, n_latent=options.latent, target_active=target)
    model.train(options.epochs, seed=seed, accelerator="cpu", enable_progress_bar=False)
    gamma = model.get_inclusion_probability()
    return {
        "model": f"SparseVAE, target {target:g}",
        "expected on": round(float(gamma.sum(axis=1).mean()), 2),
        "on (gamma > 0.5)": round(float((gamma > 0.5).sum(axis=1).mean()), 2),
        "quantiles of on": np.quantile((gamma > 0.5).sum(axis=1), [0.05, 0.5, 0.95]).tolist(),
        "dimensions used": int(((gamma > 0.5).mean(axis=0) > 0.01).sum()),
        "AUROC": matched_auroc(gamma, Y),
    }


def dense(
    adata: anndata.AnnData, Y: pd.DataFrame, options: argparse.Namespace, seed: int
) -> dict[str, object]:
    """A BetaVAE of the same size, its latent thresholded by size or by value."""
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, n_latent=options.latent)
    model.train(options.epochs, seed=seed, accelerator="cpu", enable_progress_bar=False)
    Z = model.get_latent_representation()
    return {
        "model": "BetaVAE, thresholded",
        "AUROC of |z|": matched_auroc(np.abs(Z), Y),
        "AUROC of z, sign chosen": matched_auroc(np.hstack([Z, -Z]), Y),
    }


def matched_auroc(activity: np.ndarray, Y: pd.DataFrame) -> float:
    """Mean area under the ROC curve over factors, each with a dimension of its own."""
    y = Y.to_numpy(dtype=float)
    ranks = rankdata(activity, axis=0)
    positive = y.sum(axis=0)
    area = (ranks.T @ y - positive * (positive + 1) / 2) / (positive * (len(y) - positive))
    return round(float(area[linear_sum_assignment(area, maximize=True)].mean()), 3)


if __name__ == "__main__":
    main()
