"""A flag must be True or False: a text such as "no" would count as true, and do the opposite."""

import inspect

import numpy as np
import pytest

import distaff as ds

ROOMS = (ds.datasets, ds.hub, ds.metrics, ds.pl, ds.pp, ds.tl)
LATER = {"show"}  # of figures, which are drawn first


def flags_of(function):
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.annotation == "bool" and p.name not in LATER]


FUNCTIONS = [
    pytest.param(getattr(room, name), flag, id=f"{room.__name__}.{name}-{flag}")
    for room in ROOMS
    for name in room.__all__
    if inspect.isfunction(getattr(room, name))
    for flag in flags_of(getattr(room, name))
]


@pytest.mark.parametrize(("function", "flag"), FUNCTIONS)
@pytest.mark.parametrize("value", ["no", 0, None])
def test_functions(function, flag, value):
    empty = inspect.Parameter.empty
    required = {n: None for n, p in inspect.signature(function).parameters.items() if p.default is empty}
    with pytest.raises(TypeError, match=f"{flag} must be True or False, got {value!r}"):
        function(**required, **{flag: value})


METHODS = {
    "differential_expression": ("all_stats", "batch_correction", "filter_outlier_cells", "silent"),
    "get_elbo": ("return_mean",),
    "get_latent_library_size": ("give_mean",),
    "get_latent_representation": ("give_mean", "return_dist"),
    "get_marginal_ll": ("return_mean",),
    "get_normalized_expression": ("return_mean", "return_numpy", "silent"),
    "get_reconstruction_error": ("return_mean",),
}


@pytest.mark.parametrize(
    ("method", "flag"), [(name, flag) for name, flags in METHODS.items() for flag in flags]
)
def test_methods(trained, method, flag):
    with pytest.raises(TypeError, match=f"{flag} must be True or False, got 'no'"):
        getattr(trained("BetaVAE"), method)(**{flag: "no"})


def test_the_rest(trained, tmp_path, cells):
    model = trained("LinearVAE")
    with pytest.raises(TypeError, match="centered must be True or False, got 'yes'"):
        model.get_loadings(centered="yes")
    with pytest.raises(TypeError, match="trust_pickle must be True or False, got 'maybe'"):
        type(model).load(tmp_path, trust_pickle="maybe")
    with pytest.raises(TypeError, match="simplex must be True or False, got 'no'"):
        ds.metrics.active_units(np.eye(3), simplex="no")
    with pytest.raises(TypeError, match="log_normalise must be True or False, got 'no'"):
        adata = cells()
        ds.model.FSCLVM.setup_anndata(adata)
        ds.model.FSCLVM(adata, log_normalise="no")
    adata = ds.tl.latent(model.adata, model, copy=True)
    with pytest.raises(TypeError, match="show must be True or False, got 'no'"):
        ds.pl.history(adata, show="no")
    with pytest.raises(TypeError, match=r"save must be a path, got \['x'\]"):
        ds.pl.history(adata, show=False, save=["x"])
