"""The same seed gives the same bits, whatever was drawn before; another number of threads changes little."""

from __future__ import annotations

import inspect
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import anndata
import numba
import numpy as np
import pytest
import torch
from property_kit import generators, snapshot
from scipy import sparse
from threadpoolctl import threadpool_limits

import distaff as ds
from distaff import datasets, metrics, model, pl, pp, tl

TRAIN = {"accelerator": "cpu", "enable_progress_bar": False, "seed": 3}
SMALL = {
    "AnnotatedVAE": {"n_hidden": 16},
    "Autoencoder": {"layers": (16, 8), "n_latent": 2},
    "BetaVAE": {"n_latent": 4, "n_hidden": 16},
    "FSCLVM": {"n_dense": 1},
    "FactorVAE": {"n_latent": 4, "n_hidden": 16, "total_correlation": 1.0, "decoder": "additive"},
    "LinearVAE": {"n_latent": 4, "n_hidden": 16, "init": "nmf"},
    "ProgramVAE": {"n_latent": 4, "n_hidden": 16},
    "SparseVAE": {"n_latent": 4, "n_hidden": 16, "prior": "pseudo_input"},
}
# after the few steps of these tests; docs/reproducibility.md tells how rounding grows in longer runs
THREADS = dict.fromkeys(SMALL, 1e-2)
CHAOTIC = {"Autoencoder"}  # rounding grows tenfold with each of the first steps


@contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads for torch, numba and the linear algebra of numpy."""
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(n)
    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
    try:
        with threadpool_limits(n):
            yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    mean = rng.gamma(1.0, 2.0, (90, 60))
    mean[::2, :20] *= 4
    adata = anndata.AnnData(sparse.csr_matrix((rng.poisson(mean) + 1).astype(np.float32)))
    adata.var_names = [f"gene{i}" for i in range(60)]
    adata.obs["label"] = np.array(["a", "b"])[np.arange(90) % 2]
    pp.gene_sets(adata, {"one": list(adata.var_names[:20]), "two": list(adata.var_names[15:40])})
    return adata


def fitted(name: str, cells: anndata.AnnData):
    """A model after three epochs, of an AnnData of its own."""
    adata = cells.copy()
    model_class = getattr(model, name)
    model_class.setup_anndata(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        trained = model_class(adata, **SMALL[name])
        trained.train(3, **TRAIN)
    return trained


def draw() -> None:
    """What a user may draw between two runs."""
    random.random()
    np.random.rand(7)
    torch.rand(3)


def weights(trained) -> dict[str, bytes]:
    return {part: value.numpy().tobytes() for part, value in trained.module.state_dict().items()}


def test_every_model_has_a_test() -> None:
    assert set(model.__all__) == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_bits(name, cells) -> None:
    draw()
    states = generators()
    first = fitted(name, cells)
    assert generators() == states
    draw()
    torch.manual_seed(99)
    second = fitted(name, cells)
    assert weights(first) == weights(second)
    assert first.history["train_loss"].equals(second.history["train_loss"])
    results = []
    for trained in (first, second):
        draw()
        adata = trained.adata
        tl.latent(adata, trained)
        if name not in ("FSCLVM",):
            tl.traverse(adata, trained, n_cells=20)
        tl.factors(adata, trained)
        drop = ("obs/_scvi", "uns/_scvi")  # names of objects, not of numbers
        results.append({slot: value for slot, value in snapshot(adata).items() if not slot.startswith(drop)})
    assert results[0] == results[1]


@pytest.mark.parametrize("name", sorted(set(SMALL) - CHAOTIC))
def test_threads_change_little(name, cells) -> None:
    latents = []
    for n in (1, 2, 3):
        with threads(n):
            latents.append(fitted(name, cells).get_latent_representation())
    spread = latents[0].std(axis=0)
    varies = spread > 1e-3 * spread.max()
    for Z in latents[1:]:
        assert (np.abs(Z - latents[0])[:, varies] / spread[varies]).max() < THREADS[name]


def random_methods() -> dict[str, str]:
    """Public methods of the models that draw, and the argument that seeds them."""
    drawing = (
        "train",
        "get_elbo",
        "get_reconstruction_error",
        "get_marginal_ll",
        "get_normalized_expression",
    )
    drawing += ("differential_expression", "posterior_predictive_sample", "get_latent_representation")
    return dict.fromkeys(drawing, "seed")


@pytest.mark.parametrize("name", SMALL)
def test_methods_that_draw_take_a_seed(name) -> None:
    model_class = getattr(model, name)
    found = 0
    for method, argument in random_methods().items():
        function = getattr(model_class, method, None)
        if function is None or (name == "FSCLVM" and method != "train"):
            continue
        parameters = inspect.signature(function).parameters
        assert argument in parameters, method
        assert re.search(rf"^\s*{argument}\b", inspect.getdoc(function), re.M), (
            f"{method} does not document it"
        )
        found += 1
    assert found


DRAWS = re.compile(r"default_rng\((?!\d)|RandomState\(|random_state=(?!\d)|SeedSequence\((?!\d)")


def test_functions_that_draw_take_a_seed() -> None:
    """A module whose source draws with a seed that is not a constant has a function that takes it."""
    seeded = set()
    for room in (datasets, metrics, pl, pp, tl):
        for name in room.__all__:
            function = getattr(room, name)
            parameters = inspect.signature(function).parameters
            if "random_state" in parameters:
                seeded.add(name)
                assert parameters["random_state"].default == 0, f"{name}: the default must not be None"
                assert re.search(r"^random_state$", inspect.getdoc(function), re.M), name
            elif inspect.isfunction(function):
                source = inspect.getsource(inspect.getmodule(function)).replace(function.__doc__, "")
                assert not DRAWS.search(source), name
    assert {"simulate_gep", "umap", "tsne", "consensus", "disentanglement", "gep_score", "traverse"} <= seeded
    assert {"dci", "sap", "infomec", "explicitness", "assess", "beta_vae_score", "factor_vae_score"} <= seeded
    assert "random_state" in inspect.signature(ds.report).parameters


# tl.umap and tl.tsne: tests/tl
SEEDED_TOOLS = {
    "gep_score": lambda adata, seed: tl.gep_score(adata, "gene_sets", top=0.3, random_state=seed),
    "disentanglement": lambda adata, seed: tl.disentanglement(
        adata, "label", metrics="all", random_state=seed
    ),
    "cluster_agreement": lambda adata, seed: tl.cluster_agreement(
        adata, "label", resolutions=[0.5, 1.0], random_state=seed
    ),
}


@pytest.mark.parametrize("name", SEEDED_TOOLS)
def test_tools_repeat(name, cells) -> None:
    results = []
    for n in (1, 2):
        adata = cells.copy()
        adata.obsm["X_distaff"] = np.random.default_rng(1).normal(size=(90, 3))
        draw()
        states = generators()
        with threads(n), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few cells
            SEEDED_TOOLS[name](adata, 5)
        assert generators() == states
        results.append(snapshot(adata))
    assert results[0] == results[1]
