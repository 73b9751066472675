"""Interim."""

import torch
from scvi.distributions import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial


def linear_count_log_likelihood(
    counts,
    features,
    weight,
    *,
    bias=None,
    log_size,
    family,
    theta=None,
    dropout=None,
    offset=None,
    floor=None,
):
    a = torch.nn.functional.linear(features, weight, bias)
    if floor is not None:
        a = a + torch.log1p(-(1 - floor) * torch.exp(-a))
    if offset is not None:
        a = a + offset[0] @ offset[1]
    mu = log_size.exp() * torch.softmax(a, -1)
    x = counts.to_dense()
    if theta is not None:
        th = theta[0] if theta[1] is None else theta[0][theta[1]]
    if family == "nb":
        px = NegativeBinomial(mu=mu, theta=th, validate_args=False)
    elif family == "poisson":
        px = Poisson(rate=mu.clamp(min=1e-8), validate_args=False)
    else:
        px = ZeroInflatedNegativeBinomial(
            mu=mu, theta=th, zi_logits=torch.nn.functional.linear(features, *dropout), validate_args=False
        )
    return px.log_prob(x).sum(-1)
