"""Kullback-Leibler divergences in nats: closed form where there is one, else Monte Carlo."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, Normal
from torch.distributions.kl import kl_divergence as closed_form_kl

__all__ = ["kl_divergence"]


def kl_divergence(q: Distribution, p: Distribution, sample: Tensor) -> Tensor:
    """KL of ``q`` from ``p``: the closed form that torch knows, else one Monte Carlo term.

    Parameters
    ----------
    q
        Variational posterior, batch shape (cells, dimensions).
    p
        Prior, broadcastable to ``q``.
    sample
        Draw from ``q`` of shape (cells, dimensions); used only where no closed form is registered,
        as ``log q(sample) - log p(sample)``, whose expectation is the KL.

    Returns
    -------
    Tensor (cells, dimensions), nats; non-negative where the closed form is used. A prior whose
    ``log_prob`` is one number a cell gives (cells, 1).

    Examples
    --------
    >>> import torch
    >>> q = torch.distributions.Normal(torch.zeros(3, 2), torch.ones(3, 2))
    >>> kl_divergence(q, torch.distributions.Normal(0.0, 1.0), q.sample()).shape
    torch.Size([3, 2])
    """
    if type(q) is Normal and type(p) is Normal and not (p.loc.requires_grad or p.scale.requires_grad):
        return _NormalKL.apply(q.loc, q.scale, p.loc, p.scale)
    try:
        return closed_form_kl(q, p)
    except NotImplementedError:
        log_q, log_p = q.log_prob(sample), p.log_prob(sample)
        if log_p.shape[-1] != log_q.shape[-1]:  # a prior over all dimensions together
            log_q = log_q.sum(-1, keepdim=True)
        return log_q - log_p


class _NormalKL(torch.autograd.Function):
    """KL of a normal from a fixed one, in the order of torch's own formula; its gradient in closed form."""

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, prior_loc: Tensor, prior_scale: Tensor) -> Tensor:
        ratio = (scale / prior_scale).pow(2)
        distance = (loc - prior_loc) / prior_scale
        ctx.save_for_backward(distance, ratio, scale, prior_scale)
        return 0.5 * (ratio + distance.pow(2) - 1 - ratio.log())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        distance, ratio, scale, prior_scale = ctx.saved_tensors
        return gradient * distance / prior_scale, gradient * (ratio - 1) / scale, None, None
