"""Log-likelihood of counts under a linear decoder, without a dense matrix of cells and genes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distaff.ops._count_likelihood_blocks import block_log_likelihood, one_pass
from distaff.ops._count_likelihood_inputs import Fixed, Gradients, Inputs, checked
from distaff.ops._count_likelihood_reference import reference_log_likelihood
from distaff.ops.csr import csr_arrays, is_csr32, without_zeros

__all__ = ["Fixed", "Gradients", "Inputs", "linear_count_log_likelihood", "one_pass"]


def linear_count_log_likelihood(
    counts: Tensor,
    features: Tensor,
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    log_size: Tensor,
    theta: Tensor | tuple[Tensor, Tensor] | None = None,
    dropout: tuple[Tensor, Tensor | None] | None = None,
    offset: tuple[Tensor, Tensor] | None = None,
    floor: float | None = None,
) -> Tensor:
    r"""Log-likelihood of counts whose logits are linear in features, summed over genes.

    .. math::

        \log p(x_i) = \sum_g \log p(x_{ig} \mid \mu_{ig}, \theta_g), \quad
        \mu_i = \ell_i \, \text{softmax}(h_i), \quad h_i = W f_i + b

    With a floor :math:`\varphi` factors add up on the scale of log1p expression instead,
    :math:`h_i = \log(\text{expm1}(W f_i) + \varphi) + T^\top d_i`, for :math:`W f_i \ge 0`. The negative
    binomial :cite:p:`Lopez18` has the mean :math:`\mu` and the variance :math:`\mu + \mu^2 / \theta`; its
    zero-inflated form a further chance of zero with the logit :math:`V f_i + c`. The values are those of
    scvi-tools' distributions.

    Sparse CSR counts in float32 on the CPU are read by compiled loops, in blocks of cells that stay in the
    cache: no tensor of cells x genes is made, and gamma functions are computed for the non-zeros only.
    Everything else goes through torch.

    Parameters
    ----------
    counts
        Counts (cells, genes), sparse CSR or dense; no gradient flows to them.
    features
        Features :math:`f` (cells, factors).
    weight
        Weights :math:`W` (genes, factors).
    bias
        Bias :math:`b` (genes,), only without a floor.
    log_size
        Log library size :math:`\log \ell` (cells, 1).
    theta
        Inverse dispersion (genes,), or a table (groups, genes) with the group of each cell (cells,). Without
        it counts are Poisson.
    dropout
        Weights :math:`V` (genes, factors) and bias :math:`c` (genes,) or None, of zero inflation; None for
        no inflation.
    offset
        Design :math:`d` (cells, covariates), which gets no gradient, and table :math:`T` (covariates, genes);
        only with a floor.
    floor
        Floor :math:`\varphi \ge 0` of additive rates; None for rates that multiply.

    Returns
    -------
    Shape (cells,), in nats.

    Raises
    ------
    ValueError
        If the parameters or their shapes do not fit each other.

    Examples
    --------
    >>> import torch
    >>> counts = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).to_sparse_csr()
    >>> size = torch.tensor([[2.0], [1.0]]).log()
    >>> linear_count_log_likelihood(
    ...     counts, torch.ones(2, 1), torch.zeros(2, 1), log_size=size
    ... )
    tensor([-2.6931, -1.6931])
    """
    table, codes = theta if isinstance(theta, tuple) else (theta, None)
    if table is not None and codes is None and table.ndim == 1:
        table = table.unsqueeze(0)
    design, shift = offset or (None, None)
    design = None if design is None else design.detach()
    dropout_weight, dropout_bias = dropout or (None, None)
    inputs = Inputs(features, weight, bias, log_size, table, dropout_weight, dropout_bias, shift)
    checked(inputs, counts=counts, codes=codes, design=design, floor=floor)
    if is_csr32(counts) and all(_fits(t) for t in (*inputs, design)):
        groups = np.zeros(len(counts), np.int32) if codes is None else _int32(codes)
        design = None if design is None else design.contiguous()
        x = csr_arrays(counts)
        x = x if dropout is None else without_zeros(x)
        return block_log_likelihood(inputs, Fixed(x, groups, design, floor))
    return reference_log_likelihood(counts, inputs, codes=codes, design=design, floor=floor)


def _fits(tensor: Tensor | None) -> bool:
    return tensor is None or (tensor.device.type == "cpu" and tensor.dtype is torch.float32)


def _int32(codes: Tensor) -> np.ndarray:
    return codes.reshape(-1).to(torch.int32).contiguous().numpy()
