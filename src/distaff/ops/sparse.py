"""Expression as a dense or as a sparse CSR tensor: the few things that networks ask of it."""

from __future__ import annotations

import torch
from torch import Tensor

from distaff.ops.csr import csr_arrays, is_csr32
from distaff.ops.kernels.vectors import log1p_values, sum_rows
from distaff.ops.sparse_linear import sparse_linear

__all__ = ["as_dense", "is_sparse", "linear_map", "log1p", "row_sums"]


def is_sparse(x: Tensor) -> bool:
    """Whether ``x`` is a sparse CSR tensor."""
    return x.layout == torch.sparse_csr


def as_dense(x: Tensor) -> Tensor:
    """Return ``x`` as a dense tensor."""
    return x.to_dense() if is_sparse(x) else x


def log1p(x: Tensor) -> Tensor:
    """``log(1 + x)`` of each entry; a sparse ``x`` has no gradient."""
    if not is_sparse(x):
        return torch.log1p(x)
    values = x.values()
    if is_csr32(x):
        values = torch.empty_like(values)
        log1p_values(x.values().numpy(), values.numpy())
    else:
        values = torch.log1p(values)
    return torch.sparse_csr_tensor(
        x.crow_indices(), x.col_indices(), values, size=x.shape, check_invariants=False
    )


def row_sums(x: Tensor) -> Tensor:
    """Sum of each row, shape (rows, 1)."""
    if not is_sparse(x):
        return x.sum(dim=1, keepdim=True)
    if is_csr32(x):
        out = torch.empty(len(x), 1)
        indptr, _, values = csr_arrays(x)
        sum_rows(indptr, values, out.numpy().reshape(-1))
        return out
    return torch.segment_reduce(x.values(), "sum", offsets=x.crow_indices().long()).unsqueeze(1)


def linear_map(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W' + b``; a sparse ``x`` (cells, n_in) gets no gradient."""
    if is_sparse(x):
        return sparse_linear(x, weight, bias)
    return torch.nn.functional.linear(x, weight, bias)
