"""All random generators go on from their state."""

import random

import numpy as np
import torch

from distaff.train import isolated_rng
from distaff.train.random_state import random_state, set_random_state


def draws():
    return random.random(), random.gauss(), np.random.normal(), torch.randn(()).item()


def test_generators_go_on_from_their_state():
    with isolated_rng(0):
        draws()  # the second of a pair of normal numbers is kept
        state = random_state()
        first, second = draws(), draws()
        set_random_state(state)
        assert (draws(), draws()) == (first, second)
