"""Kullback-Leibler divergences in nats: closed form where there is one, else Monte Carlo."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution
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
    try:
        return closed_form_kl(q, p)
    except NotImplementedError:
        log_q, log_p = q.log_prob(sample), p.log_prob(sample)
        if log_p.shape[-1] != log_q.shape[-1]:  # a prior over all dimensions together
            log_q = log_q.sum(-1, keepdim=True)
        return log_q - log_p
