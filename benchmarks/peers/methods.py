"""The methods: each takes a problem and gives the latent of all cells."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import anndata
import numpy as np
import scvi
import torch
from data_sets import DATA, Problem, n_held_out
from sklearn.decomposition import NMF, PCA, FastICA

import distaff as ds
from distaff.model._start import log_normalise

__all__ = [
    "METHODS",
    "N_LATENT",
    "QUIET",
    "AbsentError",
    "Fit",
    "Method",
    "annotated",
    "factorised",
    "log_normalised",
    "ours",
    "read",
]

N_LATENT = 10
N_DRAWS = 100  # from each posterior, for the likelihood
QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "train_size": 0.9, "shuffle_set_split": False}


class AbsentError(Exception):
    """The package of a method is not installed, or the data have nothing that it needs."""


@dataclass(frozen=True)
class Fit:
    """Latent (cells, dimensions), its dimensions in use, and how to judge held-out cells."""

    latent: np.ndarray
    active: np.ndarray
    log_likelihood: Callable[[], float] | None = None


@dataclass(frozen=True)
class Method:
    """``fit(problem, seed, epochs)``; ``epochs`` None is the default of the model."""

    fit: Callable[[Problem, int, int | None], Fit]
    ours: bool = False
    slow: bool = False  # gets few epochs in the small preset
    default: bool = True  # in the tables; else only when named
    guided: bool = False  # knows more than the counts: shown, but not ranked


def factorised(make: Callable[[int], Any], *, default: bool = True) -> Method:
    """Method of scikit-learn, on log1p of counts per 10,000 with gene means equalised over batches."""

    def fit(problem: Problem, seed: int, epochs: int | None) -> Fit:
        del epochs
        X = log_normalised(problem)
        model = make(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X[n_held_out(len(X)) :])
            latent = model.transform(X)
        return Fit(latent, np.ones(latent.shape[1], dtype=bool))

    return Method(fit, default=default)


def ours(cls: Any, *, slow: bool = False, default: bool = True, **options: Any) -> Method:
    """A model of this package."""

    def fit(problem: Problem, seed: int, epochs: int | None) -> Fit:
        adata = problem.adata.copy()
        cls.setup_anndata(adata, batch_key=problem.batch)
        model = cls(adata, n_latent=N_LATENT, **options)
        model.train(epochs, seed=seed, **QUIET)
        return read(adata, model)

    return Method(fit, ours=True, slow=slow, default=default)


def autoencoder(problem: Problem, seed: int, epochs: int | None) -> Fit:
    """Autoencoder of log-normalised expression; it has no likelihood."""
    adata = problem.adata.copy()
    adata.layers["log"] = log_normalised(problem)
    ds.model.Autoencoder.setup_anndata(adata, layer="log", allow_non_integer=True)
    model = ds.model.Autoencoder(adata, n_latent=N_LATENT)
    model.train(epochs, seed=seed, **QUIET)
    return read(adata, model, likelihood=False)


def annotated(*, default: bool = True, **options: Any) -> Method:
    """Gene sets of the simulation, or those of Reactome; as many dimensions as sets."""

    def fit(problem: Problem, seed: int, epochs: int | None) -> Fit:
        adata = problem.adata.copy()
        if "gene_sets" not in adata.varm:
            source = DATA / "reactome_c2cp_v4.0.symbols.gmt"
            if "simulation" in adata.uns or not source.is_file():
                raise AbsentError("no gene sets for these data")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # sets of the same genes
                ds.pp.gene_sets(adata, source)
        ds.model.AnnotatedVAE.setup_anndata(adata, batch_key=problem.batch)
        model = ds.model.AnnotatedVAE(adata, **options)
        model.train(epochs, seed=seed, **QUIET)
        return read(adata, model)

    return Method(fit, ours=True, default=default, guided=True)


def scvi_tools(name: str, **options: Any) -> Callable[[Problem, int, int | None], Fit]:
    """A model of scvi-tools, at its defaults but for ``options``."""

    def fit(problem: Problem, seed: int, epochs: int | None) -> Fit:
        cls = _scvi_class(name)
        adata = problem.adata.copy()
        scvi.settings.seed = seed
        cls.setup_anndata(adata, batch_key=problem.batch)
        model = cls(adata, n_latent=N_LATENT, **options)
        warm_up = {} if epochs is None else {"plan_kwargs": {"n_epochs_kl_warmup": epochs}}
        model.train(epochs, validation_size=0.1, **QUIET, **warm_up)
        scvi.settings.seed = None
        latent = model.get_latent_representation()
        active = np.ones(N_LATENT, dtype=bool)
        if options.get("latent_distribution") == "ln":
            return Fit(latent, active, lambda: _bound(model, adata))
        return Fit(latent, active, lambda: _log_likelihood(model, adata, n_mc_samples_per_pass=10))

    return fit


def ldvae(latent: str) -> Callable[[Problem, int, int | None], Fit]:
    """LDVAE, given the library size as all others are: likelihoods could not be compared else."""
    return scvi_tools("LinearSCVI", use_observed_lib_size=True, latent_distribution=latent)


def _scvi_class(name: str) -> Any:
    if name != "DRVI":
        return getattr(scvi.model, name)
    for module in ("scvi.external", "drvi.model"):
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise AbsentError("DRVI is in neither scvi-tools nor drvi-py")


def read(adata: anndata.AnnData, model: Any, *, likelihood: bool = True) -> Fit:
    """What ``tl.latent`` writes, dimensions in use included."""
    ds.tl.latent(adata, model)
    active = adata.uns["distaff"]["factors"]["active"].to_numpy(dtype=bool)
    judge = (lambda: _log_likelihood(model, adata)) if likelihood else None
    return Fit(adata.obsm["X_distaff"], active, judge)


def _log_likelihood(model: Any, adata: anndata.AnnData, **options: Any) -> float:
    """Nats a held-out cell, by importance sampling from the posterior."""
    cells = _held_out(model, adata)
    return float(model.get_marginal_ll(indices=cells, n_mc_samples=N_DRAWS, **options))


def _bound(model: Any, adata: anndata.AnnData) -> float:
    """ELBO: scvi-tools' importance weights do not hold on the simplex, where they take z for u."""
    cells = _held_out(model, adata)
    return float(np.mean([float(model.get_elbo(indices=cells)) for _ in range(N_DRAWS)]))


def _held_out(model: Any, adata: anndata.AnnData) -> np.ndarray:
    cells = np.arange(n_held_out(adata.n_obs))
    if set(np.asarray(model.validation_indices).tolist()) != set(cells.tolist()):
        raise RuntimeError("The model has not held out the first tenth of the cells.")
    torch.manual_seed(0)
    return cells


def log_normalised(problem: Problem) -> np.ndarray:
    """log1p of counts per 10,000 (cells, genes), gene means equalised over batches."""
    adata = problem.adata
    batch = np.zeros(adata.n_obs) if problem.batch is None else adata.obs[problem.batch].cat.codes.to_numpy()
    return log_normalise(adata.X, batch).toarray()


KL = {"beta_loss": "kullback-leibler", "solver": "mu"}
PROGRAM, LINEAR, BETA = ds.model.ProgramVAE, ds.model.LinearVAE, ds.model.BetaVAE
METHODS: dict[str, Method] = {
    "PCA": factorised(lambda seed: PCA(N_LATENT, random_state=seed)),
    "NMF": factorised(lambda seed: NMF(N_LATENT, init="nndsvda", random_state=seed, max_iter=400)),
    "NMF, KL": factorised(lambda seed: NMF(N_LATENT, init="nndsvdar", random_state=seed, max_iter=400, **KL)),
    "ICA": factorised(lambda seed: FastICA(N_LATENT, random_state=seed, max_iter=1000)),
    "LinearSCVI, normal": Method(ldvae("normal"), slow=True),
    "LinearSCVI, ln": Method(ldvae("ln"), slow=True),
    "SCVI": Method(scvi_tools("SCVI"), slow=True),
    "DRVI": Method(scvi_tools("DRVI"), slow=True),
    "ProgramVAE": ours(PROGRAM),
    "LinearVAE": ours(LINEAR, slow=True),
    "LinearVAE, ln": ours(LINEAR, slow=True, latent="logistic_normal"),
    "LinearVAE, NMF start": ours(LINEAR, slow=True, init="nmf"),
    "BetaVAE, beta 1": ours(BETA, slow=True, beta=1.0),
    "BetaVAE, beta 10": ours(BETA, slow=True, beta=10.0),
    "SparseVAE": ours(ds.model.SparseVAE, slow=True),
    "Autoencoder": Method(autoencoder, ours=True, slow=True),
    "AnnotatedVAE": annotated(),
    "LinearSCVI, normal, own epochs": Method(ldvae("normal"), default=False),
    "LinearSCVI, ln, own epochs": Method(ldvae("ln"), default=False),
}


def quiet() -> None:
    """Keep the packages from talking: thousands of lines else."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR
