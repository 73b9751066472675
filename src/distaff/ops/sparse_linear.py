"""First layer of an encoder on sparse counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distaff._checks import error
from distaff.ops.csr import CSR, csr_arrays, is_csr32, transposed
from distaff.ops.kernels.sparse_rows import gather_rows

__all__ = ["gene_gradient", "sparse_linear"]


def sparse_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Linear map of sparse rows, :math:`y = x W^\top + b`.

    Only the non-zeros of ``x`` are read, forward and backward. On the CPU in float32 compiled loops do it,
    which want the weights of a gene side by side: keep ``weight.t()`` contiguous, else each call copies it.
    The gradient of the weight always comes in that layout. Elsewhere, and for dense ``x``, torch does it.

    Parameters
    ----------
    x
        Values (cells, genes), sparse CSR or dense; no gradient flows to them.
    weight
        Weights (out, genes).
    bias
        Bias (out,).

    Returns
    -------
    Shape (cells, out).

    Raises
    ------
    ValueError
        If the genes of ``x`` and ``weight`` differ in number.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]).to_sparse_csr()
    >>> sparse_linear(x, torch.tensor([[1.0, 10.0, 100.0]]), torch.tensor([0.5]))
    tensor([[ 20.5000],
            [301.5000]])
    """
    if x.shape[1] != weight.shape[1]:
        raise error("weight must have one column per gene of x", got=f"{weight.shape[1]} for {x.shape[1]}")
    if is_csr32(x) and weight.device.type == "cpu" and weight.dtype is torch.float32:
        return _SparseLinear.apply(csr_arrays(x), weight, bias)
    dense = x.detach().to_dense() if x.layout is not torch.strided else x.detach()
    return torch.nn.functional.linear(dense, weight, bias)


class _SparseLinear(torch.autograd.Function):
    """``x W' + b`` with the gradient of W from the transposed batch, so that each gene is written once."""

    @staticmethod
    def forward(ctx: Any, x: CSR, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.x = x
        ctx.n_genes = weight.shape[1]
        out = torch.empty(x.indptr.size - 1, weight.shape[0])
        gather_rows(*x, weight.detach().t().contiguous().numpy(), out.numpy())
        return out if bias is None else out.add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = gene_gradient(ctx.x, gradient.contiguous().numpy(), ctx.n_genes)
        return None, d_weight, gradient.sum(dim=0) if ctx.needs_input_grad[2] else None


def gene_gradient(x: CSR, gradient: np.ndarray, n_genes: int) -> Tensor:
    """Gradient of the weight (out, genes) from that of the output (cells, out), by genes."""
    by_gene = torch.empty(n_genes, gradient.shape[1])
    gather_rows(*transposed(x, n_genes), gradient, by_gene.numpy())
    return by_gene.t()
