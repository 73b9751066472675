import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import Normal

from distaff.nn.spike_slab import SpikeSlab
from distaff.ops import total_correlation


def posterior(n_cells, n_dims, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    loc = torch.randn(n_cells, n_dims, generator=g, dtype=dtype)
    scale = 0.1 + torch.rand(n_cells, n_dims, generator=g, dtype=dtype)
    u = loc + scale * torch.randn(n_cells, n_dims, generator=g, dtype=dtype)
    return Normal(loc, scale), u


@pytest.mark.parametrize(("n_cells", "log_total"), [(None, math.log(7)), (1000, math.log(7 * 1000))])
def test_against_loops(n_cells, log_total):
    q, u = posterior(7, 3)
    expected = []
    for draw in u.numpy():
        log_density = norm.logpdf(draw, q.loc.numpy(), q.scale.numpy())
        joint = logsumexp(log_density.sum(1)) - log_total
        expected.append(joint - sum(logsumexp(log_density[:, d]) - log_total for d in range(3)))
    np.testing.assert_allclose(total_correlation(q, u, n_cells=n_cells), expected, rtol=1e-12)


def test_groups_of_cells_have_the_mutual_information_of_their_table():
    # four groups far apart, at the corners of a square: the draws' noise cancels exactly
    table = np.array([[3.0, 1.0], [1.0, 3.0]]) / 8
    corners = [(-1, -1)] * 3 + [(-1, 1), (1, -1)] + [(1, 1)] * 3
    q = Normal(20.0 * torch.tensor(corners, dtype=torch.float64), torch.ones(8, 2, dtype=torch.float64))
    expected = np.sum(table * np.log(table / np.outer(table.sum(1), table.sum(0))))
    u = q.loc + torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(total_correlation(q, u).mean()) == pytest.approx(expected, abs=1e-12)


def test_gaussian_aggregated_posterior():
    # loc ~ N(0, S - sigma^2) and u | loc ~ N(loc, sigma^2) make u ~ N(0, S) with correlation 0.6
    g = torch.Generator().manual_seed(1)
    covariance = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    root = torch.linalg.cholesky(covariance - 0.36 * torch.eye(2))
    estimates = []
    for _ in range(20):
        loc = torch.randn(1000, 2, generator=g, dtype=torch.float64) @ root.T
        u = loc + 0.6 * torch.randn(1000, 2, generator=g, dtype=torch.float64)
        estimates.append(float(total_correlation(Normal(loc, torch.full_like(loc, 0.6)), u).mean()))
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) + 0.5 * math.log(1 - 0.36)) < 4 * error


def test_the_number_of_cells_is_a_constant():
    q, u = posterior(6, 4)
    loc = q.loc.clone().requires_grad_()
    values, gradients = [], []
    for n_cells in (6, 50_000):
        value = total_correlation(Normal(loc, q.scale), u, n_cells=n_cells).mean()
        values.append(value.item())
        gradients.append(torch.autograd.grad(value, loc)[0])
    assert values[1] - values[0] == pytest.approx(3 * math.log(50_000 / 6))
    torch.testing.assert_close(*gradients)


def test_one_dimension_has_none():
    q, u = posterior(6, 1)
    assert torch.equal(total_correlation(q, u, n_cells=10), torch.zeros(6, dtype=torch.float64))


def test_order_of_cells_and_of_dimensions_does_not_matter():
    q, u = posterior(9, 4)
    rows, columns = torch.randperm(9), torch.randperm(4)
    shuffled = total_correlation(
        Normal(q.loc[rows][:, columns], q.scale[rows][:, columns]), u[rows][:, columns]
    )
    torch.testing.assert_close(shuffled, total_correlation(q, u)[rows])


def test_gradient():
    q, u = posterior(5, 3)
    inputs = [tensor.clone().requires_grad_() for tensor in (q.loc, q.scale, u)]
    assert torch.autograd.gradcheck(
        lambda loc, scale, u: total_correlation(Normal(loc, scale), u, n_cells=20), inputs
    )


@pytest.mark.parametrize(
    ("n_cells", "n_dims", "spread"), [(1, 3, 1.0), (2, 1, 1.0), (2, 500, 1.0), (8, 500, 1e4), (8, 3, 0.0)]
)
def test_finite(n_cells, n_dims, spread):
    loc = spread * torch.randn(n_cells, n_dims, generator=torch.Generator().manual_seed(2))
    loc, scale = loc.requires_grad_(), torch.full((n_cells, n_dims), 0.01, requires_grad=True)
    value = total_correlation(Normal(loc, scale), loc + scale, n_cells=1000).mean()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(loc.grad).all()
    assert torch.isfinite(scale.grad).all()


def test_a_posterior_with_a_spike_is_refused():
    q = SpikeSlab(torch.zeros(4, 2), torch.ones(4, 2), torch.zeros(4, 2))
    with pytest.raises(TypeError, match="must have differentiable draws .*, got SpikeSlab"):
        total_correlation(q, torch.zeros(4, 2))


def test_faults():
    q, u = posterior(4, 2)
    with pytest.raises(ValueError, match=r"u must have the shape .* \(4, 2\), got \(3, 4, 2\)"):
        total_correlation(q, u.expand(3, 4, 2))
    with pytest.raises(ValueError, match="n_cells must be >= 1, got 0"):
        total_correlation(q, u, n_cells=0)
