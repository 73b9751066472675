from __future__ import annotations

import pytest
import torch
from torch import nn

from distaff.model._saved_limits import BuildLimit

SAVED = {"weight": torch.zeros(30, 20)}


def test_what_a_model_needs_is_allowed():
    with BuildLimit(SAVED):
        layers = nn.Sequential(*(nn.Linear(20, 30) for _ in range(20)), nn.BatchNorm1d(30))
        nn.Embedding(30, 20)
        torch.full((3,), 10**15)
        bool((layers[0].weight != 0).any())


@pytest.mark.parametrize(
    "build",
    [
        lambda: torch.empty(10**12),
        lambda: torch.zeros(10**6, 10**6),
        lambda: torch.full((10**12,), 1.0),
        lambda: torch.zeros(3).new_ones(10**12),
        lambda: torch.arange(10**12),
        lambda: torch.eye(10**6),
        lambda: torch.randperm(10**12),
        lambda: torch.zeros(1).repeat(10**12),
        lambda: nn.Linear(10**6, 10**6),
        lambda: [nn.Linear(1, 1) for _ in range(10**6)],
        lambda: [torch.zeros(1000, 1000) for _ in range(10**4)],
    ],
)
def test_what_is_far_larger_is_not_made(build):
    with BuildLimit(SAVED), pytest.raises(MemoryError, match="far larger than the saved tensors"):
        build()


def test_limit_grows_with_what_was_saved():
    with BuildLimit({"weight": torch.zeros(1000, 1000)}):
        assert torch.zeros(1500, 1500).numel() == 1500**2
