"""Distance of the covariance of a latent from the identity."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dip_penalty"]


def dip_penalty(mean: Tensor, variance: Tensor | None = None, *, diagonal_ratio: float) -> Tensor:
    r"""Squared distance of the latent's covariance from the identity :cite:p:`Kumar18`.

    .. math:: \sum_{d \ne e} C_{de}^2 + r \sum_d (C_{dd} - 1)^2

    With :math:`C = \operatorname{Cov}_x(\mu(x))` this is DIP-VAE-I; with the covariance of the aggregated
    posterior, :math:`C = \operatorname{Cov}_x(\mu(x)) + E_x \operatorname{diag} \sigma^2(x)`, DIP-VAE-II.
    Expectations are means over the minibatch (divisor :math:`M`).

    Parameters
    ----------
    mean
        Posterior means :math:`\mu`, shape (cells, dimensions).
    variance
        Posterior variances :math:`\sigma^2`, shape (cells, dimensions); None for DIP-VAE-I.
    diagonal_ratio
        Weight :math:`r` of the diagonal relative to the rest. The paper's is 10 for I and 1 for II.

    Returns
    -------
    Scalar, without unit.

    Examples
    --------
    >>> import torch
    >>> mean = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    >>> float(dip_penalty(mean, diagonal_ratio=10.0))
    2.0
    >>> float(dip_penalty(mean, torch.full((2, 2), 0.5), diagonal_ratio=1.0))
    2.5
    """
    centred = mean - mean.mean(dim=0)
    covariance = centred.T @ centred / len(mean)
    diagonal = covariance.diagonal()
    off_diagonal = covariance - torch.diag(diagonal)
    if variance is not None:
        diagonal = diagonal + variance.mean(dim=0)
    return off_diagonal.square().sum() + diagonal_ratio * (diagonal - 1.0).square().sum()
