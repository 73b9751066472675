"""Every option of every public function, given values that it does not expect: it works, or says what is wrong."""

from __future__ import annotations

import inspect
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_kit import examples, outcome, unchanged
from scipy import sparse

import distaff as ds

ANY = (ValueError, TypeError, KeyError, FileNotFoundError, ConnectionError)
ODD_VALUES = (  # what a slip of the user's gives
    *(None, True, False, -1, 0, 1, 3, 0.5, 1.5, -0.5, float("nan"), float("inf"), 2**40, 10**400),
    *("", "x", "a/b", "first", "distaff", "one", "\0", np.float32(0.5), np.int64(2)),
    *([], [1], ["x"], ["one"], ["one", "one"], [None], {}, {"first": "categorical"}, {1: 2}, (), (1, 99)),
)
SIZES = {  # options that ask for so much memory or time
    *("n_cells", "n_genes", "n_factors", "n_decoys", "n_batches", "n_identities", "n_active_identities"),
    *(
        "n_random",
        "n_permutations",
        "n_bootstrap",
        "n_pairs",
        "n_train",
        "n_test",
        "batch_size",
        "n_prog_genes",
    ),
    *(
        "n_hidden",
        "n_layers",
        "n_latent",
        "layers",
        "n_sparse",
        "n_dense",
        "max_epochs",
        "lr_schedule",
        "n_neighbors",
    ),
    *("n_jobs", "n_bins", "cv", "resolutions", "capacity_steps", "n_columns", "size", "n_top", "n_sets"),
}
OF_MODELS = {"n_hidden": 4, "n_latent": 2}


@pytest.fixture(scope="module")
def adata() -> anndata.AnnData:
    """Cells under two keys with all that the tools write."""
    rng = np.random.default_rng(0)
    mean = np.full((40, 15), 2.0)
    mean[::2, :6] *= 8
    mean[::3, 4:12] *= 5
    X = sparse.csr_matrix((rng.poisson(mean) + 1).astype(np.float32))
    obs = pd.DataFrame(
        {
            "first": pd.Categorical(rng.choice(["B", "T", "a/b"], 40)),
            "condition": pd.Categorical(rng.choice(["ctrl", "stim"], 40)),
            "age": rng.normal(size=40),
        },
        index=[f"c{i}" for i in range(40)],
    )
    adata = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(15)]))
    adata.layers["log"] = sparse.csr_matrix(np.log1p(X.toarray()))
    sets = {"one": list(adata.var_names[:6]), "two": list(adata.var_names[4:12])}
    ds.pp.gene_sets(adata, sets, min_genes=2)
    return adata


@pytest.fixture(scope="module")
def model(adata):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few epochs
        return fill(adata)


def fill(adata):
    ds.model.AnnotatedVAE.setup_anndata(adata)
    for seed, key in enumerate(("other", "distaff")):
        model = ds.model.AnnotatedVAE(
            adata, n_hidden=4, lambda_group=0.0, lambda_latent=0.0, lambda_off_mask=0.0
        )
        model.train(40, seed=seed, lr=2e-2, accelerator="cpu", enable_progress_bar=False, batch_size=16)
        ds.tl.latent(adata, model, key=key)
        ds.tl.loadings(adata, model, key=key)
        ds.tl.factors(adata, model, key=key)
        ds.tl.disentanglement(adata, ["first", "condition"], key=key, references=None)
        ds.tl.traverse(adata, model, key=key)
        ds.tl.rank_factors(adata, "first", key=key)
        ds.tl.enrich(adata, key=key, min_genes=2)
        adata.obsm[f"X_{key}_umap"] = np.random.default_rng(seed).normal(size=(40, 2)).astype(np.float32)
    ds.tl.consensus(adata, ["distaff", "other"], threshold=0.01)
    return model


def options_of(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def path() -> pd.DataFrame:
    strengths = [0.1, 0.5, 1.0]
    return pd.DataFrame(
        {
            "lambda_group": strengths,
            "n_terms": [3, 2, 1],
            "loss": [3.0, 2.0, 2.5],
            "standard_error": 0.1,
            "selected": [False, True, False],
        }
    )


# positional arguments of each function, and options that keep it quick; the AnnData is given first
TL = {
    "cluster_agreement": (["first"], {"resolutions": [0.5]}),
    "collect_scores": ([], {}),
    "consensus": ([["distaff", "other"]], {"threshold": 0.05}),
    "disentanglement": (["first"], {"metrics": "mig", "references": None, "n_random": 1}),
    "enrich": ([], {}),
    "factors": ([], {}),
    "gep_score": (["gene_sets"], {"top": 0.5}),
    "latent": (["model"], {}),
    "loadings": (["model"], {}),
    "rank_factors": (["first"], {}),
    "regress_out_factors": (["one"], {}),
    "rename_factors": ([{"one": "new"}], {}),
    "traverse": (["model"], {}),
    "tsne": ([], {}),
    "umap": ([], {}),
}
PP = {
    "align_query": ([["gene0", "gene1"]], {}),
    "check_counts": ([], {}),
    "gene_sets": ([{"A": ["gene0", "gene1"]}], {"min_genes": 1}),
}
PL = {
    **{name: ([], {}) for name in ds.pl.__all__},
    "regularization_path": None,
    "term_accuracy": (["first"], {"terms": 2}),
    "tradeoff": ([], {"x": "seed"}),
}
DATASETS = {
    **{name: {"folder": "absent"} for name in ("kang", "pbmc3k", "sc_mixology")},
    "simulate_factors": {"n_cells": 12, "n_genes": 40, "n_factors": 2},
    "simulate_gep": {"n_cells": 12, "n_genes": 40},
    "simulate_splat": {"batch_cells": 12, "n_genes": 40},
}
MODELS = {
    **dict.fromkeys(("BetaVAE", "LinearVAE", "SparseVAE", "ProgramVAE", "FactorVAE"), OF_MODELS),
    "AnnotatedVAE": {"n_hidden": 4},
    "Autoencoder": {"layers": (4,), "n_latent": 2},
    "FSCLVM": {},
}
METRICS = dict.fromkeys(
    ("beta_vae_score", "dci", "explicitness", "factor_vae_score", "infomec", "irs", "max_spearman", "mig"),
    ("Z", "Y"),
) | {
    **dict.fromkeys(
        ("modularity", "sap", "single_dimension_accuracy", "smi", "spn", "cluster_agreement"), ("Z", "Y")
    ),
    **dict.fromkeys(
        ("active_units", "factor_correlation", "total_correlation", "variance_explained"), ("Z",)
    ),
    **dict.fromkeys(("lms", "msas", "msgs"), ("Z",)),
    "factor_dependence": ("Y",),
    "assess": ("metric", "Z", "Y"),
    "compare_runs": None,
}
HUB = {
    "load": "shared",
    "model_card": "model",
    "push": None,  # needs a server: tests/hub
    "save": "model",
}
QUICK = {"n_train": 60, "n_test": 30, "resolutions": [0.5], "n_random": 1}


def test_every_public_name_has_a_call() -> None:
    rooms = {ds.tl: TL, ds.pp: PP, ds.pl: PL, ds.datasets: DATASETS, ds.model: MODELS, ds.hub: HUB}
    for room, calls in rooms.items():
        assert set(room.__all__) == set(calls)
    functions = {name for name in ds.metrics.__all__ if not inspect.isclass(getattr(ds.metrics, name))}
    assert set(METRICS) == functions


def odd_options(
    function: Callable[..., Any], *, without: tuple[str, ...] = ()
) -> st.SearchStrategy[dict[str, Any]]:
    """One option of a function with a value that it may not expect."""
    names = [name for name in options_of(function) if name not in without]
    return st.sampled_from(names).flatmap(
        lambda name: st.sampled_from(
            [
                value
                for value in ODD_VALUES
                if name not in SIZES or not (isinstance(value, int) and value > 2**30)
            ]
        ).map(lambda value: {name: value})
    )


def try_options(
    function: Callable[..., Any], call: Callable[[dict[str, Any]], Any], n: int, **rules: Any
) -> None:
    """Call with one odd option after the other."""
    if not set(options_of(function)) - set(rules.get("without", ())):
        return

    @given(options=odd_options(function, **rules))
    @examples(n, long=40)
    def check(options) -> None:
        outcome(lambda: call(options), function, also=ANY)

    check()


@pytest.mark.parametrize("name", TL)
def test_tools(name, adata, model) -> None:
    positional, fixed = TL[name]
    arguments = [model if value == "model" else value for value in positional]
    function = getattr(ds.tl, name)
    n = {"umap": 1, "tsne": 3, "cluster_agreement": 3, "disentanglement": 5, "consensus": 4}.get(name, 8)

    def call(options):
        own = adata.copy()
        return function(own, *arguments, **{**fixed, **options})

    assert "copy" not in fixed
    if name in ("latent", "loadings", "traverse"):  # scvi-tools knows the AnnData by its identity

        def call(options):
            return function(adata, *arguments, **{**fixed, "copy": True, **options})

        try_options(function, call, n, without=("copy",))
    else:
        try_options(function, call, n)


@pytest.mark.parametrize("name", PP)
def test_preparation(name, adata) -> None:
    positional, fixed = PP[name]
    function = getattr(ds.pp, name)
    try_options(function, lambda options: function(adata.copy(), *positional, **{**fixed, **options}), 14)


@pytest.mark.parametrize("name", PL)
def test_figures(name, adata, model) -> None:
    function = getattr(ds.pl, name)
    positional, fixed = ([adata, *PL[name][0]], PL[name][1]) if PL[name] else ([path()], {})

    def call(options):
        with unchanged(adata):
            function(*positional, **{"show": False, **fixed, **options})
        plt.close("all")

    try_options(function, call, 3, without=("show", "save", "ax"))


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name) -> None:
    rng = np.random.default_rng(0)
    values = {"Z": rng.random((30, 3)), "Y": rng.integers(0, 3, 30).astype(str), "metric": ds.metrics.mig}
    runs = pd.DataFrame({"beta": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "score": rng.random(4)})
    function = getattr(ds.metrics, name)
    fixed = {option: value for option, value in QUICK.items() if option in options_of(function)}
    if name == "compare_runs":
        values, METRICS[name], fixed = {"runs": runs}, ("runs",), {"setting": "beta", "baseline": 1}
    arguments = [values[part] for part in METRICS[name]]
    try_options(function, lambda options: function(*arguments, **{**fixed, **options}), 7)


@pytest.mark.parametrize("name", DATASETS)
def test_data(name, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)  # for folders that are made
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing answers: downloads fail at once
    function = getattr(ds.datasets, name)
    try_options(function, lambda options: function(**{**DATASETS[name], **options}), 15)


@pytest.mark.parametrize("name", MODELS)
def test_models(name, adata) -> None:
    model_class = getattr(ds.model, name)
    own = adata.copy()
    model_class.setup_anndata(own)
    try_options(model_class, lambda options: model_class(own, **{**MODELS[name], **options}), 15)


@pytest.mark.parametrize("name", ["BetaVAE", "FSCLVM"])
def test_training(name, adata, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # where a name given for checkpoint_dir becomes a folder
    model_class = getattr(ds.model, name)
    own = adata.copy()
    model_class.setup_anndata(own)
    quick = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}

    def call(options):
        model = model_class(own, **MODELS[name])
        model.train(**{**quick, **options})

    try_options(model_class.train, call, 6, without=("accelerator", "devices", "datamodule"))


@given(options=odd_options(ds.model.BetaVAE.setup_anndata))
@examples(20)
def test_setup(adata, options) -> None:
    own = adata.copy()
    outcome(partial(ds.model.BetaVAE.setup_anndata, own, **options), ds.model.BetaVAE.setup_anndata, also=ANY)


@given(options=odd_options(ds.report))
@examples(4)
def test_report(adata, model, tmp_path_factory, options) -> None:
    page = tmp_path_factory.getbasetemp() / "page.html"
    with unchanged(adata):
        outcome(lambda: ds.report(adata, page, **options), ds.report, also=ANY)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of huggingface_hub
@pytest.mark.parametrize("name", [name for name, given in HUB.items() if given is not None])
def test_sharing(name, model, tmp_path) -> None:
    shared, new = tmp_path / "shared", tmp_path / "new"
    ds.hub.save(model, shared)
    positional = {"load": [shared], "model_card": [model], "save": [model, new]}[name]
    function = getattr(ds.hub, name)

    def call(options):
        with unchanged(model.adata):
            function(*positional, **options)
        shutil.rmtree(new, ignore_errors=True)

    try_options(function, call, 5)
