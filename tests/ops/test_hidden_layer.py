"""The fused hidden layer against torch's linear map, batch norm, ReLU and dropout."""

import pytest
import torch

from distaff.ops import hidden_layer

EPS = 1e-3


def inputs(n_cells=40, n_genes=30, n_units=7, offset=False):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(n_cells, n_genes, generator=g) * (torch.rand(n_cells, n_genes, generator=g) < 0.3)
    shapes = [(n_units, n_genes), (n_units,), (n_units,), (n_units,)]
    weights = [torch.randn(*shape, generator=g) for shape in shapes]
    return x, [*weights, torch.randn(n_cells, n_units, generator=g) if offset else None]


def run(x, tensors, dtype, **options):
    tensors = [None if t is None else t.clone().to(dtype).requires_grad_() for t in tensors]
    weight, bias, gain, shift, offset = tensors
    units, mean, variance = hidden_layer(x, weight, bias, gain, shift, offset=offset, eps=EPS, **options)
    (units * torch.linspace(-1, 2, units.numel(), dtype=dtype).view_as(units)).sum().backward()
    return [units.detach(), mean, variance, *(t.grad for t in tensors if t is not None)]


@pytest.mark.parametrize("offset", [False, True])
def test_loops_are_torchs_layers(offset):
    x, tensors = inputs(offset=offset)
    weight, bias, gain, shift, extra = (None if t is None else t.double().requires_grad_() for t in tensors)
    y = x.double() @ weight.T + bias + (0 if extra is None else extra)
    norm = torch.nn.functional.batch_norm(y, None, None, gain, shift, training=True, eps=EPS)
    units = torch.relu(norm)
    (units * torch.linspace(-1, 2, units.numel(), dtype=torch.float64).view_as(units)).sum().backward()
    expected = [units.detach(), y.mean(0), y.var(0, unbiased=False)]
    expected += [t.grad for t in (weight, bias, gain, shift, extra) if t is not None]
    for layout in (x.to_sparse_csr(), x):
        for got, right in zip(run(layout, tensors, torch.float32), expected, strict=True):
            torch.testing.assert_close(got.double(), right.detach(), rtol=1e-4, atol=2e-5)


def test_dropout_drops_its_share_and_scales_the_rest():
    x, tensors = inputs(n_cells=400, n_units=50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        units, *_ = run(x.to_sparse_csr(), tensors, torch.float32, dropout_rate=0.25)
        torch.manual_seed(0)
        again, *_ = run(x.to_sparse_csr(), tensors, torch.float32, dropout_rate=0.25)
    whole, *_ = run(x.to_sparse_csr(), tensors, torch.float32)
    active = whole > 0
    kept = units[active] > 0
    assert torch.equal(units, again)
    assert abs(kept.float().mean() - 0.75) < 4 * (0.25 * 0.75 / kept.numel()) ** 0.5
    torch.testing.assert_close(units[active][kept], whole[active][kept] / 0.75)
    assert not units[~active].any()


def test_what_is_dropped_gets_no_gradient():
    x, tensors = inputs(n_cells=3, n_units=2000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        units, _, _, _, _, _, d_shift = run(x.to_sparse_csr(), tensors, torch.float32, dropout_rate=0.5)
    silent = (units == 0).all(0)
    assert silent.any()
    assert not d_shift[silent].any()


def test_a_missing_value_stays_one():
    x, tensors = inputs()
    tensors[0][2, 5] = torch.nan
    units, *_ = run(x.to_sparse_csr(), tensors, torch.float32)
    assert units[:, 2].isnan().all()
    assert units[:, :2].isfinite().all()
