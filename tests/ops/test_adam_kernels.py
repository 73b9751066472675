"""Adam's compiled loops against torch's optimiser."""

import numpy as np
import pytest
import torch
from scipy import sparse

from distaff.ops.kernels.adam import adam_flat, adam_sparse_rows

LR, BETAS, EPS, DECAY = 0.01, (0.9, 0.999), 0.01, 1e-3


def gradients(n_steps=5, shape=(30, 12)):
    return torch.randn(n_steps, *shape, generator=torch.Generator().manual_seed(0))


def by_torch(start, steps):
    weight = torch.nn.Parameter(start.double())
    optimiser = torch.optim.Adam([weight], lr=LR, betas=BETAS, eps=EPS, weight_decay=DECAY)
    for gradient in steps:
        weight.grad = gradient.double()
        optimiser.step()
    return weight.detach()


def constants(step):
    first, second = (1.0 - beta**step for beta in BETAS)
    return LR / first, *BETAS, EPS, DECAY, second**0.5


@pytest.mark.parametrize("kind", ["flat", "rows"])
def test_steps_are_torchs(kind):
    start = torch.randn(30, 12, generator=torch.Generator().manual_seed(1))
    steps = gradients()
    if kind == "rows":
        matrices = [sparse.random(30, 8, 0.4, "csr", np.float32, random_state=i) for i in range(len(steps))]
        source = np.random.default_rng(0).normal(size=(8, 12)).astype(np.float32)
        steps = torch.stack([torch.from_numpy(m @ source) for m in matrices])
    weight, first, second = start.numpy().copy(), np.zeros((30, 12), "f"), np.zeros((30, 12), "f")
    for i, gradient in enumerate(steps):
        moments = first.reshape(-1), second.reshape(-1), *constants(i + 1)
        if kind == "flat":
            adam_flat(weight.reshape(-1), gradient.numpy().reshape(-1), *moments)
        else:
            m = matrices[i]
            rows = m.indptr.astype(np.int64), m.indices, m.data
            adam_sparse_rows(*rows, source, weight, first, second, *constants(i + 1))
    torch.testing.assert_close(
        torch.from_numpy(weight).double(), by_torch(start, steps), rtol=1e-5, atol=1e-6
    )
