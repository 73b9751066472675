"""The tensor functions, parts and objectives below the models: finite values, penalties from 0, sparse as dense."""

from __future__ import annotations

import math
import pkgutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from property_kit import SEEDS, examples, generators
from torch.distributions import Normal

import distaff
from distaff import nn, objectives, ops

MODELS = "every model builds on it: test_models, and tests/contracts"
RANDOM = "draws by design, within the isolated generators of a model: tests/ops/test_parts.py"
ONE_PART = "cells spread over processes: tests/ops/test_parts.py and tests/train/test_processes.py"
PENALTIES = (
    "batch_capacity_penalty",
    "cell_capacity_penalty",
    "dip_penalty",
    "hsic",
    "hsic_matrix",
    "kl_divergence",
)
SCHEDULES = ("Cosine", "Cyclical", "Linear", "Sigmoid")
LINEAR = (
    "as_dense",
    "is_csr32",
    "is_sparse",
    "linear_map",
    "log1p",
    "row_sums",
    "sparse_linear",
    "tiled",
    "tiled_linear",
)
SHRINKING = ("prox_group_metric", "prox_l1_group", "prox_l1_group_metric", "proximal_step", "soft_threshold")
LAYERS = (
    "fold_batch_norm",
    "hidden_layer",
    "linear_count_log_likelihood",
    "total_correlation",
)  # test_layers
TESTED = {*PENALTIES, *SCHEDULES, *LINEAR, *SHRINKING, *LAYERS, "Constant", "adam_metric"}
WITHOUT_TEST = {
    **dict.fromkeys(("Part", "cell_mean", "gather_cells", "held_part", "holding"), ONE_PART),
    **dict.fromkeys(("noise", "rsample"), RANDOM),
    "Schedule": "a protocol",
}
ROOMS = {
    "cli": "test_cli_files",
    "extend": "parts of the user: tests/extend",
    "datasets": "test_preparation",
    "html": "test_arguments: report",
    "hub": "test_arguments, tests/hub",
    "metrics": "test_metrics",
    "model": "test_models",
    "module": MODELS,
    "nn": f"test_layers; {MODELS}",
    "objectives": "test_layers",
    "ops": "here",
    "papers": "studies of published models on fixed data: tests/papers",
    "pl": "test_arguments",
    "pp": "test_preparation",
    "tl": "test_tools",
    "train": MODELS,
}
# what they are tested by, beside the models of test_models that are made of them
PARTS = {  # tests/contracts/test_nn_contract.py, tests/nn
    *("MLP", "CellDispersion", "CovariateLinear", "CovariateSpec", "Covariates", "Exponential"),
    *(
        "ExponentialQuantile",
        "FixedDispersion",
        "FixedLibrary",
        "GeneDispersion",
        "GroupDispersion",
        "Identity",
    ),
    *(
        "LearnedLibrary",
        "Log1p",
        "MLPDecoder",
        "MLPEncoder",
        "NegativeBinomialLikelihood",
        "NormalLikelihood",
    ),
    *(
        "NormalPosterior",
        "ObservedLibrary",
        "PoissonLikelihood",
        "Simplex",
        "Softplus",
        "StandardNormalPrior",
    ),
    "ZeroInflatedNegativeBinomialLikelihood",
}
TERMS = {  # tests/objectives
    *("DIP1", "DIP2", "HSIC", "AbstractTerm", "BetaKL", "Capacity", "LatentNorm", "LossInputs", "Objective"),
    *("ObjectiveOutput", "TotalCorrelation"),
}


def test_every_room_and_public_name_has_a_test() -> None:
    rooms = {name for _, name, is_package in pkgutil.iter_modules(distaff.__path__) if is_package}
    assert rooms == set(ROOMS)
    assert set(ops.__all__) == {*TESTED, *WITHOUT_TEST}
    assert set(nn.__all__) == PARTS
    assert set(objectives.__all__) == TERMS


FLOATS = st.floats(-1e4, 1e4)
SIZES = st.tuples(st.integers(2, 9), st.integers(1, 6))


def matrix(seed: int, size: tuple[int, int], *, share: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size) * 10.0 ** rng.integers(-3, 3) * (rng.random(size) < share)
    return torch.from_numpy(values.astype(np.float32))


@given(seed=SEEDS, size=SIZES, capacity=st.floats(0, 50))
@examples(30)
def test_penalties(seed, size, capacity) -> None:
    z, states = matrix(seed, size), generators()
    p, q = Normal(torch.zeros_like(z), 1.0), Normal(z, torch.ones_like(z) * 0.3)
    kl = ops.kl_divergence(q, p, z)
    found = [
        *(kl, ops.batch_capacity_penalty(kl, capacity), ops.cell_capacity_penalty(kl, capacity)),
        *(ops.dip_penalty(z, torch.ones_like(z), diagonal_ratio=1.0), ops.hsic(z), ops.hsic_matrix(z)),
    ]
    for value in found:
        assert torch.isfinite(value).all()
        assert (value >= -1e-6).all()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(size[0]))
    torch.testing.assert_close(ops.hsic(z[order]), found[4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ops.hsic_matrix(z), ops.hsic_matrix(z).T)
    assert generators() == states


@pytest.mark.parametrize("name", SCHEDULES)
@given(start=FLOATS, end=FLOATS, n_steps=st.integers(1, 50), step=st.integers(0, 10**9))
@examples(25)
def test_schedules(name, start, end, n_steps, step) -> None:
    """Between their ends, and at the end of them for ever."""
    schedule = getattr(ops, name)(start, end, n_steps)
    margin = 1e-9 * (1 + abs(start) + abs(end))
    assert min(start, end) - margin <= schedule(step) <= max(start, end) + margin
    assert schedule(schedule.n_steps + step) == pytest.approx(end, abs=margin)
    assert ops.Constant(start)(step) == start


@given(seed=SEEDS, size=SIZES, n_out=st.integers(1, 5), share=st.sampled_from([0.0, 0.2, 1.0]))
@examples(30)
def test_sparse_equals_dense(seed, size, n_out, share) -> None:
    x = matrix(seed, size, share=share).abs()
    weight, bias = matrix(seed + 1, (n_out, size[1])), matrix(seed + 2, (1, n_out))[0]
    sparse = x.to_sparse_csr()
    assert ops.is_sparse(sparse)
    assert not ops.is_sparse(x)
    assert not ops.is_csr32(x)
    torch.testing.assert_close(ops.as_dense(sparse), x)
    torch.testing.assert_close(ops.as_dense(ops.log1p(sparse)), torch.log1p(x))
    torch.testing.assert_close(ops.row_sums(sparse).ravel(), ops.row_sums(x).ravel())
    expected = torch.nn.functional.linear(x.double(), weight.double(), bias.double()).float()
    scale = float(expected.abs().max()) + 1
    for found in (
        ops.linear_map(sparse, weight, bias),
        ops.linear_map(x, weight, bias),
        ops.sparse_linear(sparse, weight, bias),
    ):
        torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=1e-4)


@given(seed=SEEDS, size=SIZES, l1=st.floats(0, 5), group=st.floats(0, 5))
@examples(30)
def test_proximal_steps_shrink(seed, size, l1, group) -> None:
    """No value grows or changes its sign, and what was 0 stays 0."""
    weight = matrix(seed, size, share=0.7)
    metric = matrix(seed + 1, size).abs() + 0.1
    stepped = weight.clone()
    ops.proximal_step(stepped, l1=l1, group=group, lr=0.1)
    found = [
        *(ops.soft_threshold(weight, l1), ops.prox_l1_group(weight, l1, group), stepped),
        *(ops.prox_group_metric(weight, metric, group), ops.prox_l1_group_metric(weight, metric, l1, group)),
    ]
    for value in found:
        assert torch.isfinite(value).all()
        assert (value.abs() <= weight.abs() * (1 + 1e-5) + 1e-7).all()
        assert (value * weight >= 0).all()
    torch.testing.assert_close(ops.prox_l1_group(weight, 0.0, 0.0), weight)
    d = ops.adam_metric(weight.square(), 1e-3, 1e-8)
    assert torch.isfinite(d).all()
    assert (d > 0).all()


@given(seed=SEEDS, size=SIZES, n_out=st.integers(1, 40))
@examples(15)
def test_tiles(seed, size, n_out) -> None:
    x, weight = matrix(seed, size), matrix(seed + 1, (n_out, size[1]))
    base = matrix(seed + 2, (1, n_out))[0]
    found = ops.tiled_linear(x.to_sparse_csr(), ops.tiled(weight), base)
    expected = torch.nn.functional.linear(x.double(), weight.double(), base.double()).float()
    assert math.isfinite(float(found.sum()))
    torch.testing.assert_close(
        found[:, :n_out], expected, atol=1e-4 * (1 + float(expected.abs().max())), rtol=1e-4
    )
