"""Counts as torch's sparse CSR tensor, seen as the arrays that the kernels take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distaff.ops.kernels.sparse_rows import transpose

__all__ = ["CSR", "csr_arrays", "is_csr32", "transposed", "without_zeros"]


class CSR(NamedTuple):
    """Rows of a sparse matrix; the types are always the same, so that no kernel is compiled twice."""

    indptr: np.ndarray  # int64 (rows + 1,)
    indices: np.ndarray  # int32 (non-zeros,)
    values: np.ndarray  # float32 (non-zeros,)


def is_csr32(x: Tensor) -> bool:
    """Whether the kernels can read ``x``: sparse CSR on the CPU in float32."""
    return x.layout is torch.sparse_csr and x.device.type == "cpu" and x.dtype is torch.float32


def csr_arrays(x: Tensor) -> CSR:
    """Arrays of ``x`` (rows, columns), without a copy where the types fit."""
    indptr, indices, values = x.crow_indices().numpy(), x.col_indices().numpy(), x.values().detach().numpy()
    return CSR(
        np.ascontiguousarray(indptr, np.int64),
        np.ascontiguousarray(indices, np.int32),
        np.ascontiguousarray(values, np.float32),
    )


def without_zeros(x: CSR) -> CSR:
    """``x`` without stored zeros; itself if there are none."""
    if x.values.all():
        return x
    kept = x.values != 0
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])
    return CSR(before[x.indptr], x.indices[kept], x.values[kept])


def transposed(x: CSR, n_columns: int) -> CSR:
    """Rows of the transposed matrix."""
    out = CSR(np.empty(n_columns + 1, np.int64), np.empty_like(x.indices), np.empty_like(x.values))
    transpose(*x, *out)
    return out
