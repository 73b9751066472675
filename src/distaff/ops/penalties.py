"""Penalties on the information that a latent carries."""

from __future__ import annotations

from torch import Tensor

__all__ = ["batch_capacity_penalty", "cell_capacity_penalty"]


def batch_capacity_penalty(kl: Tensor, capacity: float) -> Tensor:
    r"""Distance of the mean KL from a channel capacity, :math:`|\overline{KL} - C|` :cite:p:`Burgess18`.

    Cells may spend different amounts of information as long as their mean is :math:`C`.

    Parameters
    ----------
    kl
        KL divergence of each cell, shape (cells,), nats.
    capacity
        Capacity :math:`C`, nats.

    Returns
    -------
    Scalar, nats.

    Examples
    --------
    >>> import torch
    >>> float(batch_capacity_penalty(torch.tensor([2.0, 10.0]), 6.0))
    0.0
    """
    return (kl.mean() - capacity).abs()


def cell_capacity_penalty(kl: Tensor, capacity: float) -> Tensor:
    r"""Distance of each cell's KL from a channel capacity, :math:`|KL_i - C|`.

    Pushes every cell to the same amount of information; its mean is never smaller than
    :func:`batch_capacity_penalty` (Jensen).

    Parameters
    ----------
    kl
        KL divergence of each cell, shape (cells,), nats.
    capacity
        Capacity :math:`C`, nats.

    Returns
    -------
    One value a cell, shape (cells,), nats.

    Examples
    --------
    >>> import torch
    >>> cell_capacity_penalty(torch.tensor([2.0, 10.0]), 6.0).tolist()
    [4.0, 4.0]
    """
    return (kl - capacity).abs()
