"""Total correlation of a latent, estimated from one minibatch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from distaff._checks import check_int, error

__all__ = ["total_correlation"]


def total_correlation(q: Distribution, u: Tensor, *, n_cells: int | None = None) -> Tensor:
    r"""Total correlation by minibatch weighted sampling :cite:p:`Chen18`, one term a cell.

    .. math::

        TC_i = \ln \hat q(u_i) - \sum_d \ln \hat q(u_{id}), \quad
        \hat q(u_i) = \frac{1}{N M} \sum_{j=1}^{M} \prod_d q(u_{id} | x_j), \quad
        \hat q(u_{id}) = \frac{1}{N M} \sum_{j=1}^{M} q(u_{id} | x_j)

    for a minibatch of :math:`M` out of :math:`N` cells; the mean over cells is the estimate. The size
    :math:`N` adds the constant :math:`(D - 1) \ln N`, and so changes the value but no gradient.

    The total correlation is the same for :math:`u` and for any :math:`z` that is a monotone function of
    :math:`u` in each dimension. Takes time and memory of order :math:`M^2 D`.

    Parameters
    ----------
    q
        Posterior of each cell, batch shape (cells, dimensions), with differentiable draws: a draw from a
        mixture with a spike carries no gradient of the spike's probability.
    u
        Draw from ``q``, shape (cells, dimensions).
    n_cells
        Size :math:`N` of the training set. None takes the minibatch for all the data: every cell weighs
        :math:`1 / M` in place of :math:`1 / (N M)`, which is the exact aggregated posterior of these cells.

    Returns
    -------
    One term a cell, shape (cells,), nats.

    Raises
    ------
    TypeError
        If draws from ``q`` are not differentiable.
    ValueError
        If the shape of ``u`` is not that of ``q``.

    Examples
    --------
    Two dimensions that say the same of two groups of cells share one bit, 0.693 nats:

    >>> import torch
    >>> q = torch.distributions.Normal(torch.tensor([[-9.0, -9.0], [9.0, 9.0]]), torch.ones(2, 2))
    >>> round(float(total_correlation(q, q.loc).mean()), 3)
    0.693
    """
    if not q.has_rsample:
        raise error(
            "The posterior of a total correlation must have differentiable draws (rsample)",
            got=type(q).__name__,
            fix="Use a posterior without a spike, or a penalty that needs no density (HSIC, DIP).",
            kind=TypeError,
        )
    if u.shape != q.batch_shape or u.ndim != 2:
        raise error(
            f"u must have the shape (cells, dimensions) of q, {tuple(q.batch_shape)}", got=tuple(u.shape)
        )
    n_batch, n_dims = u.shape
    log_total = math.log(n_batch)
    if n_cells is not None:
        log_total += math.log(check_int("n_cells", n_cells, minimum=1))
    log_density = q.log_prob(u.unsqueeze(1))  # (draw i, posterior j, dimension)
    joint = torch.logsumexp(log_density.sum(dim=-1), dim=1)
    marginals = torch.logsumexp(log_density, dim=1).sum(dim=-1)
    # each of the D marginals and the joint has ln(N M) subtracted
    return joint - marginals + (n_dims - 1) * log_total
