import pytest
import torch
from torch.distributions import Normal

from distaff.nn.spike_slab import SpikeSlab
from distaff.objectives import DIP1, DIP2, HSIC, BetaKL, LossInputs, Objective, TotalCorrelation
from distaff.ops import Constant, Linear, dip_penalty, hsic, total_correlation

TERMS = [TotalCorrelation, DIP1, DIP2, HSIC]


def loss_inputs(n_cells=6, n_dims=3, **changes):
    g = torch.Generator().manual_seed(0)
    loc = torch.randn(n_cells, n_dims, generator=g, requires_grad=True)
    scale = 0.1 + torch.rand(n_cells, n_dims, generator=g)
    u = loc + scale * torch.randn(n_cells, n_dims, generator=g)
    parts = {
        "reconstruction": 100 * torch.rand(n_cells, generator=g),
        "kl": torch.rand(n_cells, n_dims, generator=g),
        "kl_library": torch.rand(n_cells, generator=g),
        "qz": Normal(loc, scale),
        "u": u,
        "z": torch.softmax(u, -1),
        "n_cells": 1000,
    }
    return LossInputs(**{**parts, **changes})


def test_each_term_is_its_penalty_of_its_part_of_the_latent():
    inputs = loss_inputs()
    q = inputs.qz
    expected = {
        TotalCorrelation: total_correlation(q, inputs.u, n_cells=1000),
        DIP1: dip_penalty(q.mean, diagonal_ratio=10.0),
        DIP2: dip_penalty(q.mean, q.variance, diagonal_ratio=1.0),
        HSIC: hsic(inputs.z),
    }
    for term, value in expected.items():
        torch.testing.assert_close(term(Constant(1.0))(inputs, 3.0), 3.0 * value)


def test_weights_of_the_diagonal():
    inputs = loss_inputs()
    q = inputs.qz
    first = DIP1(Constant(1.0), diagonal_ratio=2.0)(inputs, 1.0)
    torch.testing.assert_close(first, dip_penalty(q.mean, diagonal_ratio=2.0))
    second = DIP2(Constant(1.0), diagonal_ratio=0.0)(inputs, 1.0)
    torch.testing.assert_close(second, dip_penalty(q.mean, q.variance, diagonal_ratio=0.0))


@pytest.mark.parametrize("term", [DIP1, DIP2])
def test_the_ratio_is_a_weight(term):
    with pytest.raises(ValueError, match=r"diagonal_ratio must be >= 0, got -1\.0"):
        term(Constant(1.0), diagonal_ratio=-1.0)


@pytest.mark.parametrize("term", TERMS)
def test_in_an_objective(term):
    inputs = loss_inputs()
    added = term(Linear(0.0, 2.0))
    objective = Objective([BetaKL(Constant(1.0)), added])
    objective.settle(added.name, 10)
    alone = Objective([BetaKL(Constant(1.0))])(inputs).loss
    assert torch.equal(objective(inputs).loss, alone)  # a weight of zero changes no bit
    for _ in range(5):
        objective.advance()
    output = objective(inputs)
    torch.testing.assert_close(sum(part.mean() for part in output.parts.values()), output.loss)
    torch.testing.assert_close(output.loss - alone, added(inputs, 1.0).mean(), rtol=1e-3, atol=1e-4)
    output.loss.backward()
    assert torch.isfinite(inputs.qz.loc.grad).all()
    assert inputs.qz.loc.grad.abs().sum() > 0


def test_all_together_keep_their_names():
    terms = [TotalCorrelation(Constant(1.0)), DIP1(Constant(1.0)), HSIC(Constant(1.0), name="independence")]
    assert set(Objective(terms)(loss_inputs()).parts) == {
        "reconstruction", "total_correlation", "dip", "independence", "library"
    }  # fmt: skip


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("n_cells", [1, 2])
@pytest.mark.parametrize("n_dims", [1, 500])
def test_small_minibatches(term, n_cells, n_dims):
    inputs = loss_inputs(n_cells, n_dims)
    value = term(Constant(1.0))(inputs, 1.0).mean()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(inputs.qz.loc.grad).all()


@pytest.mark.parametrize(
    ("term", "field"),
    [(TotalCorrelation, "qz"), (TotalCorrelation, "u"), (DIP1, "qz"), (DIP2, "qz"), (HSIC, "z")],
)
def test_a_missing_part_is_named(term, field):
    with pytest.raises(ValueError, match=f"LossInputs.{field} must be given"):
        term(Constant(1.0))(loss_inputs(**{field: None}), 1.0)


def test_only_the_total_correlation_needs_a_density_without_a_spike():
    spike = SpikeSlab(torch.randn(6, 3), torch.ones(6, 3), torch.zeros(6, 3))
    normal = Normal(torch.zeros(6, 3), 1.0)
    assert {term: term(Constant(1.0)).supports(spike) for term in TERMS} == {
        TotalCorrelation: False, DIP1: True, DIP2: True, HSIC: True
    }  # fmt: skip
    assert all(term(Constant(1.0)).supports(normal) for term in TERMS)
    inputs = loss_inputs(qz=spike, z=torch.zeros(6, 3))
    for term in (DIP1, DIP2, HSIC):
        assert torch.isfinite(term(Constant(1.0))(inputs, 1.0))


def test_the_objective_does_not_know_the_number_of_cells_before_training():
    assert Objective([]).n_cells is None
