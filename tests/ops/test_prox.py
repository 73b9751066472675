"""The proximal operators against numbers from outside, brute force, and the conditions of a minimum."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize

from distaff.ops import (
    adam_metric,
    prox_group_metric,
    prox_l1_group,
    prox_l1_group_metric,
    proximal_step,
    soft_threshold,
)
from distaff.ops.kernels.adam import adam_flat
from distaff.ops.kernels.prox import adam_prox_rows, prox_rows

V = torch.tensor(
    [[1.0, -0.2, 0.05], [-0.6, 0.1, 0.02], [0.3, 0.9, -0.04], [0.05, -0.4, 0.01]], dtype=torch.float64
)
MASK = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.float64)
EXPECTED = torch.tensor(  # eta 0.1, lambda1 2 off the mask, lambda3 3
    [
        [0.7316718427000253, 0.0, 0.0],
        [-0.29266873708001007, 0.06765016803896848, 0.0],
        [0.21950155281000758, 0.6088515123507162, 0.0],
        [0.0, -0.13530033607793696, 0.0],
    ],
    dtype=torch.float64,
)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def objective(x, v, d, l1, group):
    """What the operators minimise; arrays of numpy or torch."""
    return (0.5 * d * (x - v) ** 2 + l1 * abs(x)).sum() + (group * (x**2).sum(0) ** 0.5).sum()


def problem(seed, n_genes=5, n_factors=4, spread=1.0):
    """Random weights, metric and penalties with which some columns vanish and others do not."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(n_genes, n_factors))
    d = np.exp(spread * rng.normal(size=v.shape))
    l1 = rng.exponential(0.3, v.shape) * (rng.random(v.shape) < 0.7)
    group = rng.uniform(0.05, 1.2, n_factors) * np.linalg.norm(d * v, axis=0)
    return tuple(torch.tensor(array) for array in (v, d, l1, group))


# --- numbers from outside --------------------------------------------------------------------------------


def test_masked_l1_and_group():
    x = prox_l1_group(V, 0.2 * (1 - MASK), torch.full((3,), 0.3, dtype=torch.float64))
    torch.testing.assert_close(x, EXPECTED, rtol=0, atol=1e-12)
    assert int((x == 0).sum()) == 6
    value = objective(x, V, 1.0, 0.2 * (1 - MASK), 0.3)
    assert float(value) == pytest.approx(0.7071687514898397, abs=1e-12)


def test_the_other_order_is_not_the_minimum():
    group_first = soft_threshold(prox_l1_group(V, 0.0, 0.3), 0.2 * (1 - MASK))
    value = objective(group_first, V, 1.0, 0.2 * (1 - MASK), 0.3)
    assert float(value) == pytest.approx(0.711190579858032, abs=1e-12)


def test_group_in_a_diagonal_metric():
    v, d = f64([[1.0], [-0.6], [0.3]]), f64([[2.0], [0.5], [10.0]])
    x = prox_group_metric(v, d, 1.5)
    expected = [0.36851196596103464, -0.07638967759693815, 0.22342653795010634]
    np.testing.assert_allclose(x[:, 0].numpy(), expected, rtol=0, atol=1e-9)


def test_step_after_adam():
    weight = f64([[0.9900000002], [0.029999990000010003], [-0.009999999500000025]])
    second_moment = f64([[0.25], [0.0001], [0.04]])
    proximal_step(weight, l1=0.3, group=0.0, lr=0.01, second_moment=second_moment, eps=1e-8)
    np.testing.assert_allclose(weight[:, 0].numpy(), [0.98400000032, 0.0, 0.0], rtol=0, atol=1e-9)
    assert weight[1:].tolist() == [[0.0], [0.0]]


def test_second_moment_is_that_of_torch():
    # one step of torch's Adam, rebuilt from the metric: w - m_hat / d
    weight = torch.nn.Parameter(f64([[0.5, -1.0]]))
    before = weight.detach().clone()
    optimizer = torch.optim.Adam([weight], lr=0.1, eps=0.01)
    (3.0 * weight[0, 0] - 0.2 * weight[0, 1]).backward()
    optimizer.step()
    state = optimizer.state[weight]
    d = adam_metric(state["exp_avg_sq"] / (1 - 0.999), 0.1, 0.01)
    torch.testing.assert_close(weight.detach(), before - state["exp_avg"] / (1 - 0.9) / d)


# --- brute force -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_below_the_minimum(seed):
    v, d, l1, group = problem(seed)
    rng = np.random.default_rng(seed)
    for metric, x in (
        (d, prox_l1_group_metric(v, d, l1, group)),
        (torch.ones_like(d), prox_l1_group(v, l1, group)),
    ):
        lowest = float(objective(x, v, metric, l1, group))
        for scale in (1e-6, 1e-3, 0.1, 1.0):
            for _ in range(50):
                other = x + scale * torch.tensor(rng.normal(size=x.shape) * rng.integers(0, 2, x.shape))
                assert float(objective(other, v, metric, l1, group)) >= lowest - 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_powell_finds_the_same_minimum(seed):
    v, d, l1, group = problem(seed, n_genes=3, n_factors=1)
    x = prox_l1_group_metric(v, d, l1, group)

    def f(values):
        return objective(values[:, None], v.numpy(), d.numpy(), l1.numpy(), group.numpy())

    starts = (v.numpy()[:, 0], x.numpy()[:, 0] + 0.01, np.zeros(3))
    best = min(minimize(f, s, method="Powell", options={"xtol": 1e-10, "ftol": 1e-14}).fun for s in starts)
    assert f(x.numpy()[:, 0]) - best < 1e-6


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0, 6.0])
def test_norm_is_the_root_that_bisection_finds(spread):
    v, d, _, group = problem(1, n_genes=50, n_factors=40, spread=spread)
    x = prox_group_metric(v, d, group)
    for column in range(v.shape[1]):
        a, b, c = v[:, column].numpy(), d[:, column].numpy(), float(group[column])
        if np.linalg.norm(a * b) <= c:
            assert (x[:, column] == 0).all()
            continue
        f = lambda log_r: np.sum((a * b / (b * np.exp(log_r) + c)) ** 2) - 1  # noqa: B023
        r = np.exp(brentq(f, -60.0, np.log(np.linalg.norm(a)) + 1, xtol=1e-15))
        assert float(x[:, column].norm()) == pytest.approx(r, rel=1e-9)


def test_metrics_over_ten_orders_of_magnitude():
    # Adam's metric with a tiny eps: stationarity, d (x - v) + group x / |x| = 0, to the precision of float64
    generator = torch.Generator().manual_seed(0)
    v = 10 ** (-9 * torch.rand(20, 2000, generator=generator, dtype=torch.float64))
    d = 10 ** (10 * torch.rand(20, 2000, generator=generator, dtype=torch.float64) - 3)
    group = (d * v).norm(dim=0) * torch.rand(2000, generator=generator, dtype=torch.float64)
    x = prox_group_metric(v, d, group)
    residual = d * (x - v) + group * x / x.norm(dim=0)
    assert float((residual.abs().amax(0) / (d * v).norm(dim=0)).max()) < 1e-12


def test_a_metric_of_ones_is_the_euclidean_case():
    v, d, l1, group = problem(3, n_genes=30, n_factors=20)
    metric = prox_l1_group_metric(v, torch.ones_like(d), l1, group)
    torch.testing.assert_close(metric, prox_l1_group(v, l1, group), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_float32_agrees_with_float64(dtype):
    v, d, l1, group = (t.to(dtype) for t in problem(5, n_genes=400, n_factors=50, spread=3.0))
    exact = prox_l1_group_metric(v.double(), d.double(), l1.double(), group.double())
    torch.testing.assert_close(prox_l1_group_metric(v, d, l1, group).double(), exact, rtol=2e-4, atol=1e-6)


# --- edges -----------------------------------------------------------------------------------------------


def test_zero_columns_and_norms_at_the_threshold():
    zero = torch.zeros(2, 1)
    edge = torch.tensor([[3.0], [4.0]])
    for group in (0.0, torch.zeros(1), torch.ones(1)):
        assert prox_l1_group(zero, 0.0, group).tolist() == [[0.0], [0.0]]
        assert prox_group_metric(zero, torch.ones(2, 1), group).tolist() == [[0.0], [0.0]]
    assert prox_l1_group(edge, 0.0, torch.tensor([5.0])).tolist() == [[0.0], [0.0]]
    assert prox_group_metric(edge, torch.full((2, 1), 2.0), 10.0).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("zero", [0.0, torch.zeros(3)], ids=["number", "tensor"])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e25])
def test_no_penalty_is_the_identity(zero, scale):
    v = scale * V.float()
    d = 1 + torch.rand(v.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prox_l1_group(v, zero, zero), v)
    assert torch.equal(prox_l1_group_metric(v, d, zero, zero), v)
    assert torch.equal(soft_threshold(v, zero), v)


def test_zeros_have_no_sign():
    x = prox_l1_group(-V, 0.2, 0.3)
    y = prox_l1_group_metric(-V, torch.full_like(V, 2.0), 0.4, 0.6)
    for result in (x, y, soft_threshold(-V, 10.0)):
        assert (result == 0).any()
        assert not torch.signbit(result[result == 0]).any()


def test_a_missing_value_does_not_become_a_zero():
    v = V.clone()
    v[0, 0] = torch.nan
    for x in (prox_l1_group(v, 0.1, 0.1), prox_group_metric(v, torch.ones_like(v), 0.1)):
        assert x[:, 0].isnan().any()
        assert x[:, 1:].isfinite().all()


def test_columns_do_not_depend_on_each_other():
    v, d, l1, group = problem(7, n_genes=20, n_factors=30, spread=2.0)
    together = prox_l1_group_metric(v, d, l1, group)
    for k in range(v.shape[1]):
        alone = prox_l1_group_metric(v[:, [k]], d[:, [k]], l1[:, [k]], group[[k]])
        torch.testing.assert_close(together[:, [k]], alone, rtol=1e-12, atol=0)


def test_step_is_in_place_and_without_gradient():
    weight = torch.nn.Parameter(V.clone())
    address = weight.data_ptr()
    proximal_step(weight, l1=2 * (1 - MASK), group=torch.full((3,), 3.0, dtype=torch.float64), lr=0.1)
    torch.testing.assert_close(weight.detach(), EXPECTED, rtol=0, atol=1e-12)
    assert weight.data_ptr() == address
    assert weight.requires_grad
    assert weight.grad is None
    assert weight.is_leaf
    moment = torch.ones_like(V)
    proximal_step(weight, l1=0.0, group=3.0, lr=0.1, second_moment=moment)
    assert weight.is_leaf
    assert torch.equal(moment, torch.ones_like(V))


def test_sparse_regression_with_adam_ends_at_the_minimum():
    # two factors explain nothing: the metric form removes them, and ends where no gradient is left
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    true = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    true[:, 2:] = 0
    x = z @ true.T + 0.1 * torch.randn(200, 30, generator=generator, dtype=torch.float64)
    weight = torch.nn.Parameter(0.1 * torch.ones(30, 4, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=0.02, eps=0.01)
    for step in range(1, 800):
        optimizer.zero_grad()
        (0.5 * (z @ weight.T - x).square().sum(1).mean()).backward()
        optimizer.step()
        moment = optimizer.state[weight]["exp_avg_sq"] / (1 - 0.999**step)
        proximal_step(weight, l1=0.0, group=0.3, lr=0.02, second_moment=moment, eps=0.01)
    W = weight.detach()
    assert (W[:, 2:] == 0).all()
    gradient = (z @ W.T - x).T @ z / 200
    stationary = gradient[:, :2] + 0.3 * W[:, :2] / W[:, :2].norm(dim=0)
    assert float(stationary.abs().max()) < 1e-3
    assert float(gradient[:, 2:].norm(dim=0).max()) <= 0.3


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"weight must have the shape \(genes, factors\), got shape \(3,\)"):
        prox_l1_group(torch.ones(3), 0.0, 0.0)
    with pytest.raises(ValueError, match="lr must be > 0"):
        proximal_step(V.clone(), l1=0.0, group=0.0, lr=0.0)
    with pytest.raises(ValueError, match="eps must be > 0"):
        adam_metric(V.square(), 0.1, 0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu():
    arrays = [t.float() for t in problem(11, n_genes=300, n_factors=40, spread=3.0)]
    cpu = prox_l1_group_metric(*arrays)
    cuda = prox_l1_group_metric(*(t.cuda() for t in arrays)).cpu()
    assert torch.equal(cpu == 0, cuda == 0)
    torch.testing.assert_close(cpu, cuda, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("group", [0.0, 0.05, 3.0, 1e6])
def test_loops_are_the_closed_form(group):
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 200, generator=g)
    weight[1] = 0.0
    weight[2, 5:] = 0.0
    second = torch.rand(6, 200, generator=g) ** 4
    l1 = (torch.rand(6, 200, generator=g) < 0.5).float()
    strengths = torch.full((6,), group)
    metric = adam_metric(second.T.double() / 0.3, 0.1, 0.01)
    exact = prox_l1_group_metric(weight.T.double(), metric, l1.T.double(), strengths.double())
    by_factor = weight.clone()
    options = {"l1": l1.T, "group": strengths, "lr": 0.1, "eps": 0.01, "bias_correction": 0.3}
    proximal_step(by_factor.T, second_moment=second.T, **options)
    torch.testing.assert_close(by_factor.T.double(), exact, rtol=1e-5, atol=1e-6)
    assert torch.equal(by_factor.T == 0, exact == 0)
    by_gene = weight.T.contiguous()
    proximal_step(by_gene, second_moment=second.T.contiguous(), **options)  # by torch
    torch.testing.assert_close(by_gene, by_factor.T, rtol=1e-5, atol=1e-6)


def test_adam_and_penalties_in_one_pass_are_one_after_the_other():
    rng = np.random.default_rng(0)
    sizes = np.array([1100, 0, 7, 512, 33])  # longer than what is stepped at once, shorter, and between
    starts = np.concatenate([[0], np.cumsum(sizes)])
    weight, gradient, first = (rng.normal(size=starts[-1]).astype(np.float32) for _ in range(3))
    weight[rng.random(weight.size) < 0.8] = 0.0  # as most weights of a soft mask are
    second = rng.gamma(1.0, size=weight.size).astype(np.float32)
    l1 = np.where(rng.random(weight.size) < 0.9, 20.0, 0.0).astype(np.float32)
    group, lr, step = np.array([0.1, 1.0, 0.5, 0.0, 1e6], np.float32), 0.1, 3
    correction = 1.0 - 0.999**step
    constants = lr / (1.0 - 0.9**step), 0.9, 0.999, 0.01, 0.0, correction**0.5
    expected = [a.copy() for a in (weight, first, second)]
    adam_flat(expected[0], gradient, *expected[1:], *constants)
    for k, (begin, end) in enumerate(itertools.pairwise(starts)):
        row, moment, own = (a[None, begin:end] for a in (expected[0], expected[2], l1))
        prox_rows(row, moment, own, group[k : k + 1], correction, 0.01, lr)
    n = adam_prox_rows(starts, weight, gradient, first, second, *constants, l1, group, lr)
    for found, known in zip((weight, first, second), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-6)
    assert n == np.count_nonzero(weight) == np.count_nonzero(expected[0])
    assert 0 < n < 0.5 * weight.size
    assert not weight[starts[4] :].any()


def test_loops_keep_a_missing_value():
    weight, second = torch.tensor([[1.0, torch.nan, 2.0], [1.0, 1.0, 2.0]]), torch.ones(2, 3)
    proximal_step(weight.T, l1=0.1, group=0.5, lr=0.1, second_moment=second.T, eps=0.01)
    assert weight[0].isnan().any()
    assert weight[1].isfinite().all()
