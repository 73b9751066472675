"""Layers, links, likelihoods and objectives: finite, sparse as dense, blind to the order of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from property_kit import SEEDS, examples, generators
from torch.distributions import Normal, kl_divergence

from distaff import nn, objectives, ops

SIZES = st.tuples(st.integers(2, 9), st.integers(1, 6))
LINKS = ("Exponential", "ExponentialQuantile", "Identity", "Softplus")
TERMS = {
    "BetaKL": objectives.BetaKL,
    "DIP1": objectives.DIP1,
    "DIP2": objectives.DIP2,
    "HSIC": objectives.HSIC,
    "LatentNorm": objectives.LatentNorm,
    "TotalCorrelation": objectives.TotalCorrelation,
}


def normal(seed: int, *size: int, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy((scale * np.random.default_rng(seed).normal(size=size)).astype(np.float32))


def counts(seed: int, *size: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    found = rng.poisson(3.0, size) * 10.0 ** rng.integers(0, 4) * (rng.random(size) < rng.random())
    found[:, 0] += 1
    return torch.from_numpy(found.astype(np.float32))


def batch_norm(y: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.batch_norm(y, None, None, gain, shift, training=True, eps=1e-3)


@given(seed=SEEDS, size=SIZES, n_out=st.integers(1, 5))
@examples(20)
def test_batch_norm_can_be_folded(seed, size, n_out) -> None:
    x, weight = normal(seed, *size), normal(seed + 1, n_out, size[1])
    gain, shift = normal(seed + 2, n_out), normal(seed + 3, n_out)
    w, b, mean, variance = ops.fold_batch_norm(x, weight, gain, shift, eps=1e-3)
    y = x @ weight.T
    torch.testing.assert_close(x @ w.T + b, batch_norm(y, gain, shift), atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(mean, y.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(variance, y.var(0, unbiased=False), atol=1e-3, rtol=1e-3)


@given(seed=SEEDS, size=SIZES, n_out=st.integers(1, 5))
@examples(20)
def test_hidden_layers_read_sparse_as_dense(seed, size, n_out) -> None:
    x, weight = counts(seed, *size).log1p(), normal(seed + 1, n_out, size[1])
    rest = normal(seed + 2, n_out), normal(seed + 3, n_out), normal(seed + 4, n_out)
    dense, sparse = (ops.hidden_layer(form, weight, *rest, eps=1e-3)[0] for form in (x, x.to_sparse_csr()))
    expected = batch_norm(x @ weight.T + rest[0], *rest[1:]).relu()
    for found in (dense, sparse):
        torch.testing.assert_close(found, expected, atol=5e-2, rtol=1e-2)
        assert (found >= 0).all()


@pytest.mark.parametrize("family", ["nb", "poisson", "zinb"])
@given(seed=SEEDS, size=SIZES, scale=st.sampled_from([0.1, 1.0, 5.0]))
@examples(20)
def test_count_likelihoods_read_sparse_as_dense(family, seed, size, scale) -> None:
    """No count is likelier than certain."""
    x, (n_cells, n_genes) = counts(seed, *size), size
    options = {"log_size": x.sum(1, keepdim=True).log(), "bias": normal(seed + 1, n_genes)}
    if family != "poisson":
        options["theta"] = normal(seed + 2, n_genes).exp()
    if family == "zinb":
        options["dropout"] = normal(seed + 3, n_genes, 3, scale=scale), normal(seed + 4, n_genes)
    features, weight = normal(seed + 5, n_cells, 3), normal(seed + 6, n_genes, 3, scale=scale)
    dense, sparse = (
        ops.linear_count_log_likelihood(form, features, weight, **options) for form in (x, x.to_sparse_csr())
    )
    assert torch.isfinite(dense).all()
    assert (dense <= 1e-3 * (1 + dense.abs())).all()
    torch.testing.assert_close(sparse, dense, atol=1e-2, rtol=1e-3)


@given(seed=SEEDS, size=SIZES)
@examples(20)
def test_total_correlation(seed, size) -> None:
    """The same in whatever order; none of a single dimension."""
    mean, spread, noise = normal(seed, *size), normal(seed + 1, *size).exp(), normal(seed + 2, *size)
    q, u = Normal(mean, spread), mean + spread * noise
    found = ops.total_correlation(q, u)
    assert torch.isfinite(found).all()
    rng = np.random.default_rng(seed)
    cells, columns = (torch.from_numpy(rng.permutation(n)) for n in size)
    turned = Normal(mean[cells][:, columns], spread[cells][:, columns])
    again = ops.total_correlation(turned, u[cells][:, columns])
    torch.testing.assert_close(again, found[cells], atol=1e-3, rtol=1e-3)
    one = ops.total_correlation(Normal(mean[:, :1], spread[:, :1]), u[:, :1])
    torch.testing.assert_close(one, torch.zeros(len(one)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LINKS)
@given(seed=SEEDS, size=SIZES, scale=st.sampled_from([1.0, 5.0, 30.0]))
@examples(15)
def test_links_rise(name, seed, size, scale) -> None:
    link = getattr(nn, name)()
    u = normal(seed, *size, scale=scale)
    z = link(u)
    assert torch.isfinite(z).all()
    assert (name == "Identity") or (z >= 0).all()
    assert (link(u + 0.5) >= z).all()
    assert link.unit > 0
    shares = nn.Simplex()(u)
    torch.testing.assert_close(shares.sum(-1), torch.ones(size[0]))
    assert (shares >= 0).all()


@given(seed=SEEDS, size=SIZES, scale=st.sampled_from([0.1, 1.0, 10.0]))
@examples(20)
def test_posterior_and_prior(seed, size, scale) -> None:
    """The KL is that of torch, and neither reads nor moves random numbers."""
    n_cells, n_latent = size
    posterior = nn.NormalPosterior(4, n_latent, nn.Identity())
    states = generators()
    q = posterior(normal(seed, n_cells, 4, scale=scale))
    prior = nn.StandardNormalPrior(n_latent)(torch.empty(n_cells, 0), None)
    assert torch.isfinite(q.mean).all()
    assert (q.variance > 0).all()
    kl = ops.kl_divergence(q, prior, q.mean)
    torch.testing.assert_close(kl, kl_divergence(q, Normal(0.0, 1.0)), atol=1e-5, rtol=1e-4)
    assert generators() == states


@given(
    seed=SEEDS,
    size=st.tuples(st.integers(2, 9), st.integers(1, 5)),
    names=st.lists(st.sampled_from(sorted(TERMS)), unique=True),
    weights=st.lists(st.floats(0, 10), min_size=6, max_size=6),
)
@examples(30)
def test_objectives_are_the_sum_of_their_terms(seed, size, names, weights) -> None:
    mean, spread = normal(seed, *size), normal(seed + 1, *size).exp()
    q = Normal(mean, spread)
    u = mean + spread * normal(seed + 2, *size)
    inputs = objectives.LossInputs(
        reconstruction=normal(seed + 3, size[0]).abs() * 100,
        kl=kl_divergence(q, Normal(0.0, 1.0)),
        kl_library=normal(seed + 4, size[0]).abs(),
        qz=q,
        u=u,
        z=u,
        n_cells=1000,
    )
    terms = [
        TERMS[name](ops.Constant(weight), name=name) for name, weight in zip(names, weights, strict=False)
    ]
    output = objectives.Objective(terms)(inputs)
    assert torch.isfinite(output.loss)
    total = sum(part.mean() for part in output.parts.values())
    torch.testing.assert_close(total, output.loss, atol=1e-3, rtol=1e-4)
    cost = float((inputs.reconstruction + inputs.kl_library).mean())
    nothing = objectives.Objective([TERMS[name](ops.Constant(0.0), name=name) for name in names])
    assert float(nothing(inputs).loss) == pytest.approx(cost, rel=1e-4)
