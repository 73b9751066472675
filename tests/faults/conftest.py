"""Small data with all covariates, and one small model of each class; trained ones are shared and never changed."""

from __future__ import annotations

from functools import cache

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from distaff import model, pp

N_CELLS, N_GENES = 60, 20
FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
NARROW = {"n_hidden": 8}
MODELS = {
    "AnnotatedVAE": (model.AnnotatedVAE, NARROW),
    "Autoencoder": (model.Autoencoder, {"layers": (8,), "n_latent": 3}),
    "BetaVAE": (model.BetaVAE, {"n_latent": 3, **NARROW}),
    "FSCLVM": (model.FSCLVM, {"n_dense": 1}),
    "FactorVAE": (model.FactorVAE, {"n_latent": 3, **NARROW}),
    "LinearVAE": (model.LinearVAE, {"n_latent": 3, **NARROW}),
    "ProgramVAE": (model.ProgramVAE, {"n_latent": 3, **NARROW}),
    "SparseVAE": (model.SparseVAE, {"n_latent": 3, **NARROW}),
}


def pytest_generate_tests(metafunc):
    """A test that takes ``model_name`` runs for each class of model."""
    if "model_name" in metafunc.fixturenames:
        metafunc.parametrize("model_name", MODELS)


def make_cells(n_cells=N_CELLS, *, seed=0):
    return _template(n_cells, seed).copy()


@cache
def _template(n_cells, seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(2.0, (n_cells, N_GENES)).astype(np.float32)
    counts[:, 0] += 1  # no empty cell
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
    for name, n in (("batch", 3), ("label", 2), ("donor", 4)):
        obs[name] = pd.Categorical([f"{name[0]}{i % n}" for i in range(n_cells)])
    obs["age"], obs["size"] = rng.normal(size=n_cells), rng.uniform(0.5, 2.0, n_cells)
    var = pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)])
    adata = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    sets = {"one": list(var.index[:6]), "two": list(var.index[4:12])}
    pp.gene_sets(adata, sets, min_genes=2)
    return adata


@pytest.fixture
def cells():
    """Return a maker of fresh data: 60 cells, 20 genes, two gene sets, all kinds of covariates."""
    return make_cells


def make_model(name, adata, *, setup=None, **arguments):
    kind, defaults = MODELS[name]
    kind.setup_anndata(adata, **({"batch_key": "batch"} if setup is None else setup))
    return kind(adata, **defaults, **arguments)


@pytest.fixture
def build():
    """Return a maker of untrained models of a class by its name."""
    return make_model


@pytest.fixture
def kind(model_name):
    """Class of model."""
    return MODELS[model_name][0]


@pytest.fixture(scope="session")
def fast():
    """Arguments of ``train`` for a run of no time."""
    return FAST


@pytest.fixture(scope="session")
def trained():
    """Return the trained model of a class; it is shared: change copies of its data alone."""

    @cache
    def get(name):
        found = make_model(name, make_cells())
        found.train(1, **FAST)
        return found

    return get
