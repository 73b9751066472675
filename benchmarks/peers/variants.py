"""What was tried before a default was chosen: starts, floors and lengths of training of ``ProgramVAE``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from data_sets import Problem, n_held_out
from methods import METHODS, N_LATENT, PROGRAM, QUIET, Fit, Method, factorised, log_normalised, ours, read
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, non_negative_factorization
from sklearn.neighbors import NearestNeighbors

from distaff.nn.posteriors import NO_FLOOR

__all__ = ["ALL"]

N_RUNS, SHARE = 12, 0.8  # of a consensus: runs, and cells of each
NEIGHBOURS, KEPT = 0.3, 0.8  # shares of the runs that make a component's density, and of the components kept
EPOCHS = (30, 200, 400)
DEVIATIONS = (0, 1, 2, 4)


def scaled(problem: Problem, seed: int, epochs: int | None) -> Fit:
    """NMF of genes of unit variance, as cNMF takes them."""
    del epochs
    X = log_normalised(problem)
    train = X[n_held_out(len(X)) :]
    X = X / np.maximum(train.std(axis=0), 1e-8)
    return _projected(X, _nmf(seed).fit(X[n_held_out(len(X)) :]).components_)


def consensus(problem: Problem, seed: int, epochs: int | None) -> Fit:
    """Medians of the clusters that components of NMF fall into, over runs from random starts and cells."""
    del epochs
    X = log_normalised(problem)
    train, rng = X[n_held_out(len(X)) :], np.random.default_rng(seed)
    found = []
    for _ in range(N_RUNS):
        cells = rng.choice(len(train), int(SHARE * len(train)), replace=False)
        run = NMF(N_LATENT, init="random", max_iter=100, tol=1e-3, random_state=int(rng.integers(1 << 30)))
        found.append(run.fit(train[cells]).components_)
    units = np.concatenate(found)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    near = NearestNeighbors(n_neighbors=int(NEIGHBOURS * N_RUNS) + 1).fit(units).kneighbors(units)[0]
    distance = near[:, 1:].mean(axis=1)
    units = units[distance <= np.quantile(distance, KEPT)]
    cluster = KMeans(N_LATENT, n_init=10, random_state=0).fit(units).labels_
    loadings = np.stack([np.median(units[cluster == k], axis=0) for k in range(N_LATENT)])
    scores = _projected(train, loadings).latent
    return _projected(X, _projected(np.ascontiguousarray(train.T), scores.T).latent.T)


def floored(n_deviations: int | None) -> Method:
    """``ProgramVAE`` with a floor so many posterior standard deviations high; None for no floor."""

    def fit(problem: Problem, seed: int, epochs: int | None) -> Fit:
        adata = problem.adata.copy()
        PROGRAM.setup_anndata(adata, batch_key=problem.batch)
        model = PROGRAM(adata, n_latent=N_LATENT)
        model.train(epochs, seed=seed, **QUIET)
        _set_floor(model, n_deviations)
        return read(adata, model)

    return Method(fit, ours=True, default=False)


def lasting(n_epochs: int) -> Method:
    """``ProgramVAE`` trained for so many epochs."""
    short = METHODS["ProgramVAE"].fit
    return Method(lambda problem, seed, _: short(problem, seed, n_epochs), ours=True, default=False)


def _set_floor(model: Any, n_deviations: int | None) -> None:
    posterior = model.module.posterior
    if n_deviations is None:
        posterior.floor.fill_(NO_FLOOR)
        return
    mean, variance = model.get_latent_representation(indices=model.train_indices, return_dist=True)
    posterior.set_floor(mean, np.sqrt(variance), n_deviations=n_deviations)


def _nmf(seed: int, n: int = N_LATENT) -> NMF:
    return NMF(n, init="nndsvda", random_state=seed, max_iter=400)


def _projected(X: np.ndarray, loadings: np.ndarray) -> Fit:
    """Non-negative least squares scores of given loadings (components, genes)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores, _, _ = non_negative_factorization(
            X,
            H=np.ascontiguousarray(loadings, dtype=X.dtype),
            n_components=len(loadings),
            update_H=False,
            init="custom",
            max_iter=200,
        )
    return Fit(scores, np.ones(scores.shape[1], dtype=bool))


ALL: dict[str, Method] = {
    "NMF, unit variance": Method(scaled, default=False),
    "NMF, consensus": Method(consensus, default=False),
    "NMF, 8 components": factorised(lambda seed: _nmf(seed, 8), default=False),
    "ProgramVAE, gate": ours(PROGRAM, gate=True, default=False),
    "ProgramVAE, nmf_kl": ours(PROGRAM, init="nmf_kl", default=False),
    "ProgramVAE, random start": ours(PROGRAM, init=None, default=False),
    "ProgramVAE, no floor": floored(None),
    **{f"ProgramVAE, floor of {n} sd": floored(n) for n in DEVIATIONS},
    **{f"ProgramVAE, {n} epochs": lasting(n) for n in EPOCHS},
}
