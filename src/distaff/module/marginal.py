"""Marginal likelihood by importance sampling from the posterior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from scvi import REGISTRY_KEYS
from torch import Tensor

if TYPE_CHECKING:
    from distaff.module.factor_module import FactorModule

__all__ = ["log_marginal_likelihood"]


def log_marginal_likelihood(
    module: FactorModule, tensors: dict[str, Tensor], n_samples: int, n_per_pass: int
) -> Tensor:
    r"""Estimate :math:`\log p(x) \approx \log \frac1S \sum_s p(x|z_s) p(z_s) / q(z_s|x)`, shape (cells,).

    The mean inside the logarithm is unbiased for any number of samples: each pass weighs its own.
    """
    log_weights = []
    left = n_samples
    while left > 0:
        n = min(n_per_pass, left)
        log_weights.append(_log_weights(module, tensors, n))
        left -= n
    return torch.logsumexp(torch.cat(log_weights), dim=0) - math.log(n_samples)


def _log_weights(module: FactorModule, tensors: dict[str, Tensor], n: int) -> Tensor:
    """Log importance weights, shape (n, cells)."""
    inference, generative = module.forward(
        tensors,
        get_inference_input_kwargs={"full_forward_pass": True},
        inference_kwargs={"n_samples": n},
        compute_loss=False,
    )
    x, u, library = tensors[REGISTRY_KEYS.X_KEY], inference["u"], inference["library"]
    log_weight = generative["px"].log_prob(x).sum(-1)
    log_prior, log_posterior = inference["pz"].log_prob(u), inference["qz"].log_prob(u)
    log_weight = log_weight + log_prior.sum(-1) - log_posterior.sum(-1)
    if inference["ql"] is not None:
        pl, ql = generative["pl"], inference["ql"]
        log_weight = log_weight + (pl.log_prob(library) - ql.log_prob(library)).sum(-1)
    return log_weight if n > 1 else log_weight.unsqueeze(0)
