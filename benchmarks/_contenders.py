"""Models that do the same, side by side: of distaff, and of the packages that it is measured against."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scvi
from scipy import sparse

import distaff as ds

QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "train_size": 0.9, "validation_size": 0.1}
PEERS = {"LinearSCVI": "scvi-tools", "SCVI": "scvi-tools", "DRVI": "drvi-py", "expiMap": "scarches"}
N_PROGRAMS = 12
SAMPLED = 2000  # cells whose bound is printed beside the times


@dataclass
class Contender:
    """A model and how it trains: ``train(epochs, batch_size)``."""

    name: str
    model: Any
    train: Callable[[int, int], None]

    def loss(self) -> float | None:
        """Negative ELBO of the first cells, nats a cell; None where the package has no such method."""
        if not hasattr(self.model, "get_elbo"):
            return None
        cells = np.arange(min(SAMPLED, self.model.adata.n_obs))
        return abs(float(self.model.get_elbo(indices=cells)))


def simulate(n_cells: int, n_genes: int, share: float, seed: int = 0) -> anndata.AnnData:
    """Negative binomial counts of 12 programs in two batches; ``share`` sets the share of non-zeros."""
    rng = np.random.default_rng(seed)
    scores = rng.gamma(0.5, 1, (n_cells, N_PROGRAMS)).astype(np.float32)
    loadings = rng.gamma(0.3, 1, (N_PROGRAMS, n_genes)) * rng.lognormal(0, 1, n_genes)
    blocks = []
    for start in range(0, n_cells, 1000):
        rate = scores[start : start + 1000] @ loadings.astype(np.float32) + 0.05
        rate /= rate.sum(axis=1, keepdims=True)
        mean = rate * rng.lognormal(np.log(share * n_genes * 2.0), 0.3, (len(rate), 1))
        blocks.append(sparse.csr_matrix(rng.poisson(mean * rng.gamma(2, 0.5, mean.shape)).astype(np.float32)))
    counts = sparse.vstack(blocks).tocsr()
    names = [f"gene{i}" for i in range(n_genes)]
    adata = anndata.AnnData(counts, var=pd.DataFrame(index=names))
    adata.obs["batch"] = pd.Categorical(np.where(rng.random(n_cells) < 0.5, "a", "b"))
    return adata


def repeated(adata: anndata.AnnData, times: int) -> anndata.AnnData:
    """The same cells several times over: as long to read as others."""
    obs = pd.concat([adata.obs] * times, ignore_index=True)
    return anndata.AnnData(sparse.vstack([adata.X] * times).tocsr(), obs=obs.set_index(obs.index.astype(str)))


def random_sets(adata: anndata.AnnData, n_sets: int, seed: int = 0) -> dict[str, list[str]]:
    """Gene sets of 20 to 80 genes."""
    rng = np.random.default_rng(seed)
    return {f"set{k}": list(rng.choice(adata.var_names, rng.integers(20, 81), False)) for k in range(n_sets)}


def linear(adata: anndata.AnnData, *, n_factors: int = 10, observed: bool = True) -> list[Contender]:
    """LDVAE, negative binomial; library size observed, or learned as LinearSCVI does by default."""
    options = {"n_latent": n_factors, "use_observed_lib_size": observed}
    return [
        _distaff(ds.model.LinearVAE, adata, **options),
        _scvi(scvi.model.LinearSCVI, adata, **options),
    ]


def programs(adata: anndata.AnnData) -> list[Contender]:
    """Non-negative programs, whose bound is another one, beside LDVAE; a start is no part of an epoch."""
    return [
        _distaff(ds.model.ProgramVAE, adata, n_latent=10, init=None),
        _scvi(scvi.model.LinearSCVI, adata, n_latent=10, use_observed_lib_size=True),
    ]


def nonlinear(adata: anndata.AnnData, likelihood: str) -> list[Contender]:
    """scVI's network and bound."""
    return [
        _distaff(ds.model.BetaVAE, adata, n_latent=10, beta=1.0, likelihood=likelihood),
        _scvi(scvi.model.SCVI, adata, n_latent=10, gene_likelihood=likelihood),
    ]


def annotated(adata: anndata.AnnData, n_sets: int, *, mask: str) -> list[Contender]:
    """A decoder with gene sets, beside expiMap's with the same mask, and DRVI at its defaults."""
    adata = adata.copy()
    ds.pp.gene_sets(adata, random_sets(adata, n_sets), min_genes=1)
    # a start is no part of an epoch
    found = [_distaff(ds.model.AnnotatedVAE, adata, mask=mask, init=None)]
    for name, make in (("expiMap", lambda data: _expimap(data, soft=mask == "soft")), ("DRVI", _drvi)):
        try:
            found.append(make(adata.copy()))
        except ImportError as reason:
            print(f"{name} is left out: {reason}", flush=True)
    return found


def installed() -> dict[str, str | None]:
    """Version of each package; None for one that is not there."""
    versions: dict[str, str | None] = {}
    for package in sorted({"distaff", "torch", "numba", *PEERS.values()}):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def _distaff(cls: Any, adata: anndata.AnnData, **options: Any) -> Contender:
    adata = adata.copy()
    cls.setup_anndata(adata, batch_key="batch")
    model = cls(adata, **options)
    return Contender(
        cls.__name__, model, lambda epochs, size: model.train(epochs, batch_size=size, seed=0, **QUIET)
    )


def _scvi(cls: Any, adata: anndata.AnnData, **options: Any) -> Contender:
    adata = adata.copy()
    cls.setup_anndata(adata, batch_key="batch")
    model = cls(adata, **options)
    same = {"plan_kwargs": {"n_epochs_kl_warmup": None}}  # the whole KL from the first step on, as ours

    def train(epochs: int, size: int) -> None:
        model.module.train()  # else the second call would train with batch norm and dropout switched off
        model.train(epochs, batch_size=size, **QUIET, **same)

    return Contender(cls.__name__, model, train)


def _drvi(adata: anndata.AnnData) -> Contender:
    drvi = import_module("drvi.model")
    drvi.DRVI.setup_anndata(adata, batch_key="batch", is_count_data=True)
    model = drvi.DRVI(adata, n_latent=32)
    return Contender("DRVI", model, lambda epochs, size: model.train(epochs, batch_size=size, **QUIET))


def _expimap(adata: anndata.AnnData, *, soft: bool) -> Contender:
    if not hasattr(anndata, "read"):  # scarches 0.6.1 imports it; anndata 0.11 took it away
        anndata.read = anndata.read_h5ad
    logging.disable(logging.WARNING)  # names of what is not installed beside it
    scarches = import_module("scarches")
    logging.disable(logging.NOTSET)
    adata.varm["I"] = np.asarray(adata.varm["gene_sets"], dtype=np.float32)
    model = scarches.models.EXPIMAP(
        adata, condition_key="batch", hidden_layer_sizes=[256, 256, 256], recon_loss="nb", soft_mask=soft
    )
    penalties = {"alpha": 0.7, "train_frac": 0.9} | ({"alpha_l1": 0.5} if soft else {})

    def train(epochs: int, size: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.train(n_epochs=epochs, batch_size=size, use_early_stopping=False, **penalties)

    return Contender("expiMap", model, train)
