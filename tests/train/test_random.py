import random

import numpy as np
import pytest
import scvi
import torch

from distaff.train.random import draw_seed, isolated_rng, seeded


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()


def test_draws_depend_on_the_seed_and_nothing_leaks():
    before = states()
    with isolated_rng(1):
        first = draws()
    with isolated_rng(1):
        assert draws() == first
    with isolated_rng(2):
        assert draws() != first
    assert states() == before


def test_states_are_restored_after_an_error():
    before = states()
    with pytest.raises(RuntimeError), isolated_rng(0):
        draws()
        raise RuntimeError
    assert states() == before


def test_the_outer_seed_rules():
    with isolated_rng(3):
        first = draws()
        with isolated_rng(3):
            assert draws() != first


def test_seed_of_scvi_settings_is_respected(monkeypatch):
    monkeypatch.setattr(scvi.settings, "_seed", 42)
    assert draw_seed() == 42
    monkeypatch.setattr(scvi.settings, "_seed", None)
    assert len({draw_seed() for _ in range(4)}) > 1


def test_seeded_methods():
    class Model:
        def sample(self, n, **kwargs):
            return torch.rand(n).tolist()

    Model.sample = seeded(Model.sample)
    model = Model()
    assert model.sample(3) == model.sample(3, seed=0)
    assert model.sample(3, seed=1) != model.sample(3)
