"""Optimisers go on from their state, in the layout of their parameters."""

import pytest
import torch

from distaff.train.optimiser_state import optimiser_state, set_optimiser_state


def stepped(optimiser, weights, n):
    for i in range(n):
        for weight in weights:
            weight.grad = torch.full_like(weight, 0.1 * (i + 1))
        optimiser.step()


def twins():
    weights = [torch.nn.Parameter(torch.arange(6.0).reshape(3, 2).t()), torch.nn.Parameter(torch.ones(()))]
    return weights, torch.optim.Adam(weights, lr=0.1)


def test_an_optimiser_goes_on_from_its_state():
    weights, optimiser = twins()
    stepped(optimiser, weights, 3)
    optimiser.param_groups[0]["lr"] = 0.01
    others, other = twins()
    with torch.no_grad():
        for weight, copy in zip(weights, others, strict=True):
            copy.copy_(weight)
    set_optimiser_state(other, optimiser_state(optimiser))
    stepped(optimiser, weights, 2)
    stepped(other, others, 2)
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))
    moments = other.state[others[0]]["exp_avg"]
    assert moments.stride() == others[0].stride() == (1, 2)
    assert moments is not optimiser.state[weights[0]]["exp_avg"]


def test_what_was_not_stepped_has_no_state():
    _, optimiser = twins()
    state = optimiser_state(optimiser)
    weights, other = twins()
    stepped(other, weights, 1)
    set_optimiser_state(other, state)
    assert not other.state


def test_a_state_of_other_parameters_is_refused():
    _, optimiser = twins()
    state = optimiser_state(optimiser)
    state["parameters"].pop()
    with pytest.raises(ValueError, match="shorter"):
        set_optimiser_state(optimiser, state)
