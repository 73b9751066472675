import pytest
import torch


@pytest.fixture
def seeded():
    """Fixed global draws, without a trace in other tests."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
