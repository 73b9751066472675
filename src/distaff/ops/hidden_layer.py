"""A hidden layer on sparse expression: linear map, batch norm, ReLU and dropout as one operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distaff.ops.csr import csr_arrays, is_csr32
from distaff.ops.kernels.hidden import norm_relu, norm_relu_back
from distaff.ops.kernels.sparse_rows import gather_rows
from distaff.ops.sparse_linear import gene_gradient, sparse_linear

__all__ = ["hidden_layer"]


def hidden_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gain: Tensor,
    shift: Tensor,
    *,
    offset: Tensor | None = None,
    eps: float,
    dropout_rate: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Hidden layer in training, :math:`\text{dropout}(\text{relu}(\text{batch norm}(x W^\top + b + o)))`.

    Sparse CSR expression in float32 on the CPU is read by compiled loops, as in :func:`sparse_linear`;
    everything else goes through torch. Which units are dropped comes from torch's global generator.

    Parameters
    ----------
    x
        Expression (cells, genes), sparse CSR or dense; no gradient flows to it.
    weight
        Weights (units, genes); keep ``weight.t()`` contiguous.
    bias
        Bias (units,).
    gain, shift
        What normalised units are multiplied by and moved by, shape (units,) each.
    offset
        What is added before the normalisation, shape (cells, units); None for nothing.
    eps
        Added to the variance.
    dropout_rate
        Share of units dropped; the others are scaled up.

    Returns
    -------
    Units (cells, units), differentiable; mean and variance (over n, not n - 1) of what was normalised, shape
    (units,) each, which are not.

    Examples
    --------
    >>> import torch
    >>> x, one = torch.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse_csr(), torch.ones(1)
    >>> units, mean, variance = hidden_layer(x, torch.tensor([[1.0, 0.0]]), 0 * one, one, 0 * one, eps=0.0)
    >>> units.tolist(), mean, variance
    ([[0.0], [1.0]], tensor([1.]), tensor([1.]))
    """
    tensors = weight, bias, gain, shift
    if is_csr32(x) and all(t.device.type == "cpu" and t.dtype is torch.float32 for t in tensors):
        noise = torch.rand(len(x), len(weight)) if dropout_rate > 0 else torch.empty(0, 0)
        return _HiddenLayer.apply(x, *tensors, offset, noise, eps, dropout_rate)
    y = sparse_linear(x, weight, bias)
    y = y if offset is None else y + offset
    mean, variance = y.mean(0), y.var(0, unbiased=False)
    units = torch.relu((y - mean) * (variance + eps).rsqrt() * gain + shift)
    return torch.nn.functional.dropout(units, dropout_rate), mean.detach(), variance.detach()


class _HiddenLayer(torch.autograd.Function):
    """Normalised values and output are kept; what ReLU or dropout stopped is seen from an output of 0."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gain: Tensor,
        shift: Tensor,
        offset: Tensor | None,
        noise: Tensor,
        eps: float,
        rate: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = csr_arrays(x)
        n_units = len(weight)
        normalised = np.empty((len(x), n_units), np.float32)
        gather_rows(*rows, weight.detach().t().contiguous().numpy(), normalised)
        normalised += bias.detach().numpy() if offset is None else (bias + offset).detach().numpy()
        mean, variance, inverse = (np.empty(n_units, np.float32) for _ in range(3))
        out = np.empty_like(normalised)
        gain, shift = gain.detach().contiguous().numpy(), shift.detach().contiguous().numpy()
        norm_relu(normalised, gain, shift, eps, noise.numpy(), rate, mean, variance, inverse, out)
        ctx.rows, ctx.kept, ctx.rate = rows, (normalised, out, gain, inverse), rate
        ctx.n_genes = weight.shape[1]
        moments = torch.from_numpy(mean), torch.from_numpy(variance)
        ctx.mark_non_differentiable(*moments)
        return torch.from_numpy(out), *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        normalised, out, gain, inverse = ctx.kept
        d_y = np.empty_like(normalised)
        d_gain, d_shift = np.empty_like(gain), np.empty_like(gain)
        norm_relu_back(
            d_out.contiguous().numpy(), normalised, out, gain, inverse, ctx.rate, d_gain, d_shift, d_y
        )
        wanted = ctx.needs_input_grad
        d_weight = gene_gradient(ctx.rows, d_y, ctx.n_genes) if wanted[1] else None
        y = torch.from_numpy(d_y)
        d_bias = y.sum(dim=0) if wanted[2] else None
        d_offset = y if wanted[5] else None
        d_gain, d_shift = torch.from_numpy(d_gain), torch.from_numpy(d_shift)
        return None, d_weight, d_bias, d_gain, d_shift, d_offset, None, None, None
