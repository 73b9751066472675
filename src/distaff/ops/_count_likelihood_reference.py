"""Count likelihood of a linear decoder in plain torch: any device and type, derivatives by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from distaff.ops._count_likelihood_inputs import Inputs

__all__ = ["reference_log_likelihood"]

EPS = 1e-8  # scvi-tools' distributions add it to means and dispersions
SMALLEST_RATE = 1e-8  # a softmax underflows to 0, of which the log of a Poisson rate is minus infinity


def reference_log_likelihood(
    counts: Tensor,
    inputs: Inputs,
    *,
    codes: Tensor | None = None,
    design: Tensor | None = None,
    floor: float | None = None,
) -> Tensor:
    """Log-likelihood (cells,) in nats, with tensors of cells x genes."""
    x = counts.detach() if counts.layout is torch.strided else counts.detach().to_dense()
    mean = inputs.log_size.exp() * _logits(inputs, design, floor).softmax(dim=1)
    if inputs.theta is None:
        rate = mean.clamp(min=SMALLEST_RATE)
        return (torch.xlogy(x, rate) - rate - torch.lgamma(x + 1)).sum(dim=1)
    theta = inputs.theta if codes is None else inputs.theta[codes]
    log_total = torch.log(theta + mean + EPS)
    zero = theta * (torch.log(theta + EPS) - log_total)
    terms = zero + x * (torch.log(mean + EPS) - log_total)
    terms = terms + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    if inputs.dropout_weight is None:
        return terms.sum(dim=1)
    logit = torch.nn.functional.linear(inputs.features, inputs.dropout_weight, inputs.dropout_bias)
    softplus = torch.nn.functional.softplus
    at_zero = softplus(zero - logit) - softplus(-logit)
    return torch.where(x < EPS, at_zero, terms - softplus(logit)).sum(dim=1)


def _logits(inputs: Inputs, design: Tensor | None, floor: float | None) -> Tensor:
    activity = torch.nn.functional.linear(inputs.features, inputs.weight, inputs.bias)
    if floor is None:
        return activity
    # log(expm1(a) + f) without the exponential of a large a
    logits = activity + torch.log1p(-(1.0 - floor) * torch.exp(-activity))
    return logits if design is None or inputs.table is None else logits + design @ inputs.table
