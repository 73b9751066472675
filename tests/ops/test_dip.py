import numpy as np
import pytest
import torch

from distaff.ops import dip_penalty


def moments(n_cells, n_dims, seed=0):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(n_cells, n_dims, generator=g, dtype=torch.float64)
    return mean, torch.rand(n_cells, n_dims, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["I", "II"])
def test_against_loops(kind):
    mean, variance = moments(30, 4)
    covariance = np.cov(mean.numpy(), rowvar=False, ddof=0)
    if kind == "II":
        covariance = covariance + np.diag(variance.numpy().mean(0))
    expected = 0.0
    for d in range(4):
        for e in range(4):
            expected += 10.0 * (covariance[d, d] - 1) ** 2 if d == e else covariance[d, e] ** 2
    result = dip_penalty(mean, variance if kind == "II" else None, diagonal_ratio=10.0)
    assert float(result) == pytest.approx(expected, rel=1e-12)


def test_second_kind_is_the_covariance_of_draws():
    mean, variance = moments(40, 3)
    g = torch.Generator().manual_seed(1)
    draws = mean + variance.sqrt() * torch.randn(50_000, 40, 3, generator=g, dtype=torch.float64)
    covariance = torch.cov(draws.reshape(-1, 3).T, correction=0)
    expected = (covariance - torch.eye(3)).square().sum()
    assert float(dip_penalty(mean, variance, diagonal_ratio=1.0)) == pytest.approx(float(expected), rel=0.01)


def test_zero_where_the_covariance_is_the_identity():
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(dip_penalty(corners, diagonal_ratio=10.0)) == 0.0
    halved = corners / 2**0.5
    assert float(dip_penalty(halved, torch.full((4, 2), 0.5), diagonal_ratio=1.0)) == pytest.approx(
        0.0, abs=1e-12
    )


def test_the_ratio_weighs_the_diagonal_alone():
    mean, variance = moments(30, 4)
    off, one, ten = (float(dip_penalty(mean, variance, diagonal_ratio=ratio)) for ratio in (0.0, 1.0, 10.0))
    assert ten - off == pytest.approx(10 * (one - off))


def test_order_of_cells_does_not_matter():
    mean, variance = moments(30, 4)
    rows = torch.randperm(30)
    torch.testing.assert_close(
        dip_penalty(mean[rows], variance[rows], diagonal_ratio=2.0),
        dip_penalty(mean, variance, diagonal_ratio=2.0),
    )


def test_gradient():
    inputs = [tensor.requires_grad_() for tensor in moments(6, 3)]
    assert torch.autograd.gradcheck(lambda m, v: dip_penalty(m, v, diagonal_ratio=10.0), inputs)


@pytest.mark.parametrize(("n_cells", "n_dims"), [(1, 3), (2, 1), (2, 500), (64, 500)])
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_finite(n_cells, n_dims, scale):
    mean = (scale * torch.randn(n_cells, n_dims, generator=torch.Generator().manual_seed(0))).requires_grad_()
    value = dip_penalty(mean, diagonal_ratio=10.0)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(mean.grad).all()
