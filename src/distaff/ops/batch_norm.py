"""Batch norm of a linear map, from the moments of what it maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distaff.ops.kernels.fold import fold, fold_back

__all__ = ["fold_batch_norm"]

MOST_FEATURES = 32  # above, torch's matrix products are faster


def fold_batch_norm(
    x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, *, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Weight and bias of the linear map that ``batch_norm(x @ weight')`` is.

    With mean m and covariance C of the rows of ``x``, output g has mean :math:`w_g^\top m` and variance
    :math:`w_g^\top C w_g`: neither needs the (cells, outputs) matrix.

    Parameters
    ----------
    x
        Features (cells, n_in).
    weight
        Weight (n_out, n_in).
    gain, shift
        What the normalised outputs are multiplied by and moved by, shape (n_out,) each.
    eps
        Added to the variance.

    Returns
    -------
    Weight (n_out, n_in) and bias (n_out,), differentiable; mean and variance (over n, not n - 1) of the
    outputs, shape (n_out,) each, which are not.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[-1.0], [1.0]]), torch.tensor([[3.0]])
    >>> w, b, _, variance = fold_batch_norm(x, weight, torch.ones(1), torch.zeros(1), eps=0.0)
    >>> (x @ w.T + b).squeeze(1), variance
    (tensor([-1.,  1.]), tensor([9.]))
    """
    few = x.shape[1] <= MOST_FEATURES
    if few and all(t.device.type == "cpu" and t.dtype is torch.float32 for t in (x, weight, gain, shift)):
        return _FoldFewFeatures.apply(x, weight, gain, shift, eps)
    return _FoldBatchNorm.apply(x, weight, gain, shift, eps)


class _FoldFewFeatures(torch.autograd.Function):
    """The same by compiled loops, on weights (features, outputs): of few features torch's calls cost more."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        x, by_feature = x.detach().contiguous().numpy(), weight.detach().t().contiguous().numpy()
        gain, shift = gain.detach().contiguous().numpy(), shift.detach().contiguous().numpy()
        n_features, n_out = by_feature.shape
        mean_x, centred = np.empty(n_features, np.float32), np.empty((n_features, len(x)), np.float32)
        by_covariance, out = np.empty_like(by_feature), np.empty_like(by_feature)
        mean, variance, bias = (np.empty(n_out, np.float32) for _ in range(3))
        fold(x, by_feature, gain, shift, eps, mean_x, centred, by_covariance, mean, variance, out, bias)
        ctx.kept = by_feature, gain, eps, mean_x, centred, by_covariance, mean, variance
        moments = torch.from_numpy(mean), torch.from_numpy(variance)
        ctx.mark_non_differentiable(*moments)
        return torch.from_numpy(out).t(), torch.from_numpy(bias), *moments

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_weight: Tensor, d_bias: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        by_feature, gain, _, _, centred, *_ = ctx.kept
        d_x = np.empty(centred.shape[::-1], np.float32)
        d_in, d_gain = np.empty_like(by_feature), np.empty_like(gain)
        fold_back(
            d_weight.t().contiguous().numpy(), d_bias.contiguous().numpy(), *ctx.kept, d_x, d_in, d_gain
        )
        return torch.from_numpy(d_x), torch.from_numpy(d_in).t(), torch.from_numpy(d_gain), d_bias, None


class _FoldBatchNorm(torch.autograd.Function):
    """Gradients in closed form: a third of the operations that autograd would record."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        mean_x = x.mean(0)
        centred = x - mean_x
        by_covariance = weight @ (centred.T @ centred / len(x))
        mean, variance = weight @ mean_x, (by_covariance * weight).sum(1)
        inverse = (variance + eps).rsqrt()
        scale = gain * inverse
        ctx.save_for_backward(centred, mean_x, weight, gain, by_covariance, mean, inverse, scale)
        ctx.mark_non_differentiable(mean, variance)
        return weight * scale.unsqueeze(1), shift - mean * scale, mean, variance

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_weight: Tensor, d_bias: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        centred, mean_x, weight, gain, by_covariance, mean, inverse, scale = ctx.saved_tensors
        d_scale = (d_weight * weight).sum(1) - d_bias * mean
        d_variance = d_scale * gain * inverse.pow(3) * -0.5
        d_mean = -d_bias * scale
        d_input = d_weight * scale.unsqueeze(1)
        d_input.addcmul_(by_covariance, d_variance.unsqueeze(1), value=2.0).addr_(d_mean, mean_x)
        d_covariance = weight.T @ (weight * d_variance.unsqueeze(1))
        d_x = torch.addmm(weight.T @ d_mean, centred, d_covariance, beta=1.0, alpha=2.0) / len(centred)
        return d_x, d_input, d_scale * inverse, d_bias, None
