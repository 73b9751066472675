"""Counts that stay on a GPU during training: minibatches are put together there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["Resident", "ResidentCounts", "fits_on"]

LARGEST_SHARE = 0.5  # of the free memory of a device


class ResidentCounts:
    """CSR counts on a device, of which rows are made dense there; nothing waits for the device.

    Parameters
    ----------
    counts
        Matrix (cells, genes), CSR or dense.
    device
        Where they are kept.
    """

    def __init__(self, counts: Any, device: torch.device) -> None:
        rows = sparse.csr_matrix(counts)
        self.n_genes = rows.shape[1]
        self.lengths = np.diff(rows.indptr).astype(np.int64)  # on the host: how large a minibatch will be
        self.starts = torch.from_numpy(rows.indptr[:-1].astype(np.int64)).to(device)
        self.sizes = torch.from_numpy(self.lengths).to(device)
        self.indices = torch.from_numpy(rows.indices.astype(np.int32, copy=False)).to(device)
        self.values = torch.from_numpy(rows.data.astype(np.float32, copy=False)).to(device)

    def rows(self, positions: np.ndarray) -> Tensor:
        """Rows at these positions, in this order, dense float32 (rows, genes) on the device."""
        device, n_values = self.values.device, int(self.lengths[positions].sum())
        chosen = torch.from_numpy(np.ascontiguousarray(positions)).to(device, non_blocking=True)
        sizes = self.sizes[chosen]
        row = torch.repeat_interleave(torch.arange(len(chosen), device=device), sizes, output_size=n_values)
        before = sizes.cumsum(0) - sizes  # values of the rows above
        at = torch.arange(n_values, device=device) + (self.starts[chosen] - before)[row]
        dense = torch.zeros(len(chosen) * self.n_genes, device=device)
        dense[row * self.n_genes + self.indices[at]] = self.values[at]
        return dense.view(len(chosen), self.n_genes)


class Resident:
    """Source of rows that are on a device.

    Parameters
    ----------
    counts
        Matrix (cells, genes) in memory, without entries that are stored twice.
    device
        Where they are kept.
    """

    on_disk = False
    block_size = 1

    def __init__(self, counts: Any, device: torch.device) -> None:
        self.counts = ResidentCounts(counts, device)

    def pool(self, positions: np.ndarray) -> tuple[ResidentCounts, np.ndarray]:
        """All rows, and the positions themselves."""
        return self.counts, positions


def fits_on(counts: Any, device: torch.device) -> bool:
    """Whether a matrix in memory may stay on a device: on a GPU of NVIDIA or AMD with enough free memory."""
    if device.type != "cuda":
        return False
    n_values = counts.nnz if sparse.issparse(counts) else int(np.count_nonzero(counts))
    free, _ = torch.cuda.mem_get_info(device)
    return 8 * n_values + 16 * counts.shape[0] <= LARGEST_SHARE * free
