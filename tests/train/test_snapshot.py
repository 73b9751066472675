"""Copies of all numbers that training changes."""

import pytest
import torch

from distaff.train.snapshot import Snapshot, not_finite
from distaff.train.svi import Counter


@pytest.fixture
def parts():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    return module, torch.optim.Adam(module.parameters())


def step(module, optimiser):
    optimiser.zero_grad()
    module(torch.randn(5, 2)).square().sum().backward()
    optimiser.step()


def values(module, optimiser):
    moments = [v.clone() for state in optimiser.state.values() for v in state.values()]
    return [*(v.clone() for v in module.state_dict().values()), *moments]


@pytest.mark.parametrize("n_before", [0, 2])
def test_everything_goes_back(parts, n_before):
    counter = Counter(n_before)
    for _ in range(n_before):
        step(*parts)
    snapshot = Snapshot(*parts, counter)
    snapshot.take()
    before = values(*parts)
    for _ in range(2):
        step(*parts)
        counter.step += 1
    snapshot.restore()
    assert counter.step == n_before
    after = values(*parts)
    assert len(before) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_each_number_that_is_not_finite_is_named(parts):
    module, optimiser = parts
    step(*parts)
    assert not_finite(*parts) == []
    module[1].running_var[0] = torch.nan
    optimiser.state[module[0].bias]["exp_avg_sq"][1] = torch.inf
    assert not_finite(*parts) == ["1.running_var", "exp_avg_sq of 0.bias in the optimiser"]


def test_a_sum_that_overflows_is_no_alarm(parts):
    with torch.no_grad():
        parts[0][0].weight.fill_(3e38)
    assert not_finite(*parts) == []
