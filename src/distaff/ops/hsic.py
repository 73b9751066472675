"""Hilbert-Schmidt independence criterion between the dimensions of a latent."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["hsic", "hsic_matrix"]

VARIANCE_FLOOR = 1e-8  # a dimension whose standard deviation is far below 1e-4 counts as constant


def hsic_matrix(z: Tensor) -> Tensor:
    r"""Hilbert-Schmidt independence criterion of each pair of dimensions :cite:p:`Gretton05`.

    .. math::

        H_{de} = \frac{1}{M^2} \operatorname{tr}(K_d C K_e C), \quad C = I - \frac{1}{M} 1 1^\top, \quad
        K_{d,ij} = \exp\left(-\frac{(z_{id} - z_{jd})^2}{2 s_d^2}\right)

    The squared bandwidth :math:`s_d^2` is the variance of dimension :math:`d` over the minibatch, so that
    the criterion cannot be lowered by rescaling. Each kernel sees one dimension: the bandwidth does not
    depend on their number. It is the V-statistic, of order :math:`1/M` for independent dimensions, and
    smooth everywhere: a constant dimension has the criterion 0 and the gradient 0.

    Takes memory of order :math:`M^2 D` and time of order :math:`M^2 D^2`.

    Parameters
    ----------
    z
        Latent, shape (cells, dimensions).

    Returns
    -------
    Symmetric, non-negative, shape (dimensions, dimensions), without unit.

    Examples
    --------
    >>> import torch
    >>> z = torch.linspace(-1.0, 1.0, 50)
    >>> hsic_matrix(torch.stack([z, z.square(), torch.zeros(50)], dim=1)).shape
    torch.Size([3, 3])
    """
    columns = z.T
    variance = columns.var(dim=1, correction=0, keepdim=True) + VARIANCE_FLOOR
    columns = columns * torch.rsqrt(2.0 * variance)
    kernel = torch.exp(-(columns.unsqueeze(2) - columns.unsqueeze(1)).square())
    rows = kernel.mean(dim=2, keepdim=True)  # the kernel is symmetric: these are the column means too
    offset = rows - 0.5 * rows.mean(dim=1, keepdim=True)
    centred = (kernel - (offset + offset.transpose(1, 2))).flatten(start_dim=1)
    return centred @ centred.T / len(z) ** 2


def hsic(z: Tensor) -> Tensor:
    r"""Mean of :func:`hsic_matrix` over all pairs of different dimensions.

    .. math:: \frac{2}{D (D - 1)} \sum_{d < e} H_{de}

    Parameters
    ----------
    z
        Latent, shape (cells, dimensions).

    Returns
    -------
    Scalar, non-negative, without unit; 0 for a single dimension.

    Examples
    --------
    A dimension is far from independent of its square, although they are uncorrelated:

    >>> import torch
    >>> z = torch.linspace(-1.0, 1.0, 100)
    >>> shuffled = z[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    >>> bool(hsic(torch.stack([z, z.square()], 1)) > 5 * hsic(torch.stack([z, shuffled], 1)))
    True
    """
    n_dims = z.shape[1]
    n_pairs = max(1, n_dims * (n_dims - 1) // 2)
    return hsic_matrix(z).triu(diagonal=1).sum() / n_pairs
