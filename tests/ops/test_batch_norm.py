"""Batch norm folded into a linear map, against torch's own."""

import torch

from distaff.ops import fold_batch_norm

EPS = 1e-3


def inputs(dtype=torch.float64, n_cells=7, n_in=3, n_out=5):
    g = torch.Generator().manual_seed(0)
    shapes = ((n_cells, n_in), (n_out, n_in), (n_out,), (n_out,))
    return [torch.randn(*shape, generator=g, dtype=dtype).requires_grad_() for shape in shapes]


def folded(x, weight, gain, shift):
    w, b, _, _ = fold_batch_norm(x, weight, gain, shift, eps=EPS)
    return x @ w.T + b


def test_it_is_torchs_batch_norm():
    x, weight, gain, shift = inputs()
    mean, variance = torch.zeros(5, dtype=x.dtype), torch.ones(5, dtype=x.dtype)
    expected = torch.nn.functional.batch_norm(
        x @ weight.T, mean, variance, gain, shift, training=True, momentum=1.0, eps=EPS
    )
    torch.testing.assert_close(folded(x, weight, gain, shift), expected)
    _, _, own_mean, own_variance = fold_batch_norm(x, weight, gain, shift, eps=EPS)
    torch.testing.assert_close(own_mean, mean)
    torch.testing.assert_close(own_variance * 7 / 6, variance)


def test_gradients():
    assert torch.autograd.gradcheck(folded, inputs())


def test_float32_is_near_float64():
    exact = folded(*inputs(n_cells=500, n_in=20, n_out=40))
    near = folded(*(t.float() for t in inputs(n_cells=500, n_in=20, n_out=40)))
    torch.testing.assert_close(near.double(), exact, rtol=1e-4, atol=1e-4)
