"""Minibatches of cells whose counts stay sparse, sliced from arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch import Tensor

__all__ = ["CellLoader", "to_sparse_tensor"]


class CellLoader:
    """Minibatches of the cells of a registered AnnData in memory.

    The counts of a minibatch are a sparse CSR tensor, float32 (cells, genes); everything else is dense, as
    scvi-tools' own loader gives it.

    Parameters
    ----------
    manager
        Manager of the AnnData.
    indices
        Which cells; None for all.
    batch_size
        Cells a minibatch.
    shuffle
        Draw a new order at each pass, from torch's global generator.
    drop_last
        Leave out a last minibatch that is not full.
    """

    def __init__(
        self,
        manager: AnnDataManager,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
    ) -> None:
        self.indices = _positions(indices, manager.adata.n_obs)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.tables: dict[str, Tensor] = {}
        self.counts: sparse.csr_matrix | np.ndarray | None = None
        for key in manager.data_registry:
            data = manager.get_from_registry(key)
            if key == REGISTRY_KEYS.X_KEY:
                self.counts = _rows_first(data)
            elif not isinstance(data, str):  # how the data are minified
                self.tables[key] = _table(data)

    def __len__(self) -> int:
        full, tail = divmod(len(self.indices), self.batch_size)
        return full + (tail > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = self.indices
        if self.shuffle:
            order = order[torch.randperm(len(order)).numpy()]
        for i in range(len(self)):
            yield self.minibatch(order[i * self.batch_size : (i + 1) * self.batch_size])

    def minibatch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Tensors of these cells."""
        index = torch.from_numpy(rows)
        batch = {key: table.index_select(0, index) for key, table in self.tables.items()}
        if self.counts is not None:
            batch[REGISTRY_KEYS.X_KEY] = to_sparse_tensor(self.counts[rows])
        return batch


def to_sparse_tensor(block: sparse.csr_matrix | np.ndarray) -> Tensor:
    """Float32 sparse CSR tensor of a block of counts (cells, genes)."""
    block = sparse.csr_matrix(block)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(block.indptr),
            torch.from_numpy(block.indices),
            torch.from_numpy(block.data.astype(np.float32, copy=False)),
            size=block.shape,
            check_invariants=False,
        )


def _positions(indices: Sequence[int] | np.ndarray | None, n_cells: int) -> np.ndarray:
    if indices is None:
        return np.arange(n_cells)
    array = np.asarray(indices)
    return np.flatnonzero(array) if array.dtype == bool else array.astype(np.int64)


def _rows_first(counts: Any) -> sparse.csr_matrix | np.ndarray:
    """Counts in a form of which rows can be taken fast, each entry stored once."""
    if not sparse.issparse(counts):
        return np.asarray(counts)
    counts = counts.tocsr()
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    return counts


def _table(data: Any) -> Tensor:
    """Contiguous rows: whole numbers for codes, float32 for the rest."""
    values = np.asarray(data.to_numpy() if hasattr(data, "to_numpy") else data)
    kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
    return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))
