"""Trials of the beta-VSC report: three autoencoders of scaled expression, clustered on their t-SNE."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import (
    adjusted_rand_score,
    completeness_score,
    homogeneity_score,
    normalized_mutual_info_score,
)

import distaff as ds
from distaff.papers._cells import pbmc3k
from distaff.papers._trials import Trial

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["AUTOENCODER", "BETA_VAE", "BETA_VSC", "CLUSTER_SCORES", "MODELS", "cells", "trials", "work"]

AUTOENCODER, BETA_VAE, BETA_VSC = "deep autoencoder", "beta-VAE", "beta-VSC"
WIDTHS = (128, 32, 16)
N_LATENT = 6
PARTS: dict[str, Any] = {  # squared error, as in the report's code
    "n_latent": N_LATENT,
    "n_hidden": WIDTHS,
    "dropout_rate": 0.0,
    "likelihood": "normal",
    "dispersion": "fixed",
    "kl_warmup_epochs": 0,
}
ADAM = {"batch_size": 256, "lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0}
# the report's beta is 2, but its code trains the VSC with 1
PUBLISHED = (AUTOENCODER, BETA_VAE, BETA_VSC)
PCS, ON_COUNTS = "PCA", "SparseVAE, counts"
MODELS = (*PUBLISHED, PCS, ON_COUNTS)
PERPLEXITY = 40
MAX_SCALED = 10  # Seurat cuts scaled expression here
N_STARTS = 100  # of k-means, as in the report's code
CLUSTER_SCORES = ("NMI", "ARI", "homogeneity", "completeness")

SMALL: dict[str, Any] = {"n_genes": 2_000, "n_seeds": 2, "epochs": 200, "epochs_on_counts": None}
FULL: dict[str, Any] = {"n_genes": None, "n_seeds": 10, "epochs": 200, "epochs_on_counts": None}


def trials(full: bool, seed: int) -> list[Trial]:  # noqa: FBT001
    """The three models over seeds, and for comparison two more, once each."""
    preset = FULL if full else SMALL
    pbmc3k(preset["n_genes"])  # or an error that says which file is missing, before anything is trained
    shared = {name: preset[name] for name in ("n_genes", "epochs", "epochs_on_counts")}
    return [
        Trial(
            f"{model}, seed {seed + i}",
            {"model": model, "seed": seed + i, "in_3d": i == 0 and model in PUBLISHED, **shared},
        )
        for model in MODELS
        for i in range(preset["n_seeds"] if model in PUBLISHED else 1)
    ]


@lru_cache(maxsize=1)
def cells(n_genes: int | None) -> AnnData:
    """Counts, and in a layer what Seurat's tutorial makes of them: log-normalised, z-scored, cut at 10."""
    adata = pbmc3k(n_genes).copy()
    scaled = adata.copy()
    sc.pp.normalize_total(scaled, target_sum=1e4)
    sc.pp.log1p(scaled)
    scaled.X = scaled.X.toarray()
    sc.pp.scale(scaled, max_value=MAX_SCALED)
    adata.layers["scaled"] = np.asarray(scaled.X, dtype=np.float32)
    return adata


def work(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train a model, embed its latent, cluster it and score it."""
    adata, seed = cells(settings["n_genes"]), settings["seed"]
    start = time.process_time()
    Z, active = _latent(adata, settings)
    seconds = time.process_time() - start
    found: dict[str, Any] = {"latent": Z, "seconds_of_training": seconds, "n_active": active}
    types = adata.obs["cell_type"].astype(str).reset_index(drop=True)
    k = int(types.nunique())
    found["tsne"] = _tsne(adata, Z, 2, seed)
    found["clusters"] = _clusters(found["tsne"], k, seed)
    found["of_tsne"] = _agreement(types, found["clusters"])
    found["of_latent"] = _agreement(types, _clusters(Z, k, seed))
    if settings["in_3d"]:
        found["tsne_3d"] = _tsne(adata, Z, 3, seed)
        found["of_tsne_3d"] = _agreement(types, _clusters(found["tsne_3d"], k, seed))
    return found | {"scores": _scores(Z, types, seed)}


def _latent(adata: AnnData, settings: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Latent of all cells, and the number of dimensions that vary."""
    model_name, seed = settings["model"], settings["seed"]
    if model_name == PCS:
        Z = PCA(N_LATENT, random_state=seed).fit_transform(adata.layers["scaled"]).astype(np.float32)
        return Z, N_LATENT
    own = adata.copy()
    run: dict[str, Any] = {"train_size": 1.0, "seed": seed, "enable_progress_bar": False}
    if model_name == ON_COUNTS:
        ds.model.SparseVAE.setup_anndata(own)
        run |= {"max_epochs": settings["epochs_on_counts"]}
        model: Any = ds.model.SparseVAE(own, n_latent=N_LATENT, target_active=N_LATENT / 2)
    else:
        run |= {"max_epochs": settings["epochs"], **ADAM}
        model = _as_published(own, model_name)
    model.train(**run)
    ds.tl.latent(own, model, key="run")
    return own.obsm["X_run"], int(own.uns["run"]["factors"]["active"].sum())


def _as_published(adata: AnnData, name: str) -> Any:
    model_class = ds.model.Autoencoder if name == AUTOENCODER else ds.model.FactorVAE
    model_class.setup_anndata(adata, layer="scaled", allow_non_integer=True)
    if name == AUTOENCODER:
        return ds.model.Autoencoder(adata, layers=WIDTHS, n_latent=N_LATENT)
    if name == BETA_VAE:
        return ds.model.FactorVAE(adata, **PARTS, prior="normal", beta=2.0)
    return ds.model.FactorVAE(adata, **PARTS, prior="spike_slab", relaxation="vsc", alpha=0.5, beta=1.0)


def _tsne(adata: AnnData, Z: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    own = adata[:, :1].copy()
    own.obsm["X_run"] = Z
    ds.tl.tsne(own, key="run", n_components=n_components, perplexity=PERPLEXITY, random_state=seed)
    return own.obsm["X_run_tsne"]


def _clusters(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    return KMeans(k, n_init=N_STARTS, random_state=seed).fit_predict(points).astype(np.int32)


def _agreement(types: pd.Series, clusters: np.ndarray) -> dict[str, float]:
    """The report's four scores; its NMI is over the geometric mean of the entropies, as was the default."""
    return {
        "NMI": float(normalized_mutual_info_score(types, clusters, average_method="geometric")),
        "ARI": float(adjusted_rand_score(types, clusters)),
        "homogeneity": float(homogeneity_score(types, clusters)),
        "completeness": float(completeness_score(types, clusters)),
    }


def _scores(Z: np.ndarray, types: pd.Series, seed: int) -> dict[str, float]:
    """Scores of single dimensions against cell types, and of the dimensions among themselves."""
    smi = ds.metrics.smi(Z, types)
    each = pd.get_dummies(types)  # one yes-or-no a type: of a single factor every dimension is disentangled
    dci = ds.metrics.dci(Z, each, random_state=seed).summary
    return {
        "MIG": ds.metrics.mig(Z, each).value,
        "LMS of SMI": ds.metrics.lms(smi).value,
        "MSAS of SMI": ds.metrics.msas(smi).value,
        "accuracy of one dimension": ds.metrics.single_dimension_accuracy(Z, types, random_state=seed).value,
        "DCI disentanglement": float(dci["disentanglement"]),
        "DCI completeness": float(dci["completeness"]),
        "explicitness": ds.metrics.explicitness(Z, types, random_state=seed).value,
        "mean abs. r": ds.metrics.factor_correlation(Z).value,
    }
