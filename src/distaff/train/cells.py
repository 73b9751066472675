"""Minibatches of cells whose counts stay sparse."""

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

from distaff.ops import as_dense
from distaff.train.sources import Block, RowSource, row_source

__all__ = ["CellLoader", "movable", "on_device"]

Minibatch = dict[str, Tensor]

BLOCK = 256  # neighbouring cells of a file that are read together
POOL = 8192  # cells of a file that are shuffled together


class CellLoader:
    """Minibatches of the cells of a registered AnnData.

    The counts of a minibatch are a sparse CSR tensor, float32 (cells, genes); everything else is dense, as
    scvi-tools' own loader gives it. Cells of a backed AnnData are shuffled by blocks: blocks of 256
    neighbours are read in random order, and the cells of 32 of them mixed.

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
        self.source: RowSource = row_source(manager.get_from_registry(REGISTRY_KEYS.X_KEY))
        self.tables: dict[str, Tensor] = {}
        for key in manager.data_registry:
            if key != REGISTRY_KEYS.X_KEY:
                data = manager.get_from_registry(key)
                if not isinstance(data, str):  # how the data are minified
                    self.tables[key] = _table(data)

    def __len__(self) -> int:
        full, tail = divmod(len(self.indices), self.batch_size)
        return full + (tail > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Minibatch]:
        if self.source.on_disk:
            yield from self._from_pools()
            return
        order = self.indices[torch.randperm(len(self.indices)).numpy()] if self.shuffle else self.indices
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield self._minibatch(rows, self.source.rows(rows))

    def _from_pools(self) -> Iterator[Minibatch]:
        """Minibatches of cells that are read many at a time."""
        order = _block_shuffled(self.indices) if self.shuffle else self.indices
        size = max(POOL // self.batch_size, 1) * self.batch_size
        n_left = len(self)
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            counts = self.source.rows(pool)
            mixed = torch.randperm(len(pool)).numpy() if self.shuffle else np.arange(len(pool))
            for first in range(0, len(pool), self.batch_size):
                if n_left == 0:
                    return
                chosen = mixed[first : first + self.batch_size]
                yield self._minibatch(pool[chosen], counts[chosen])
                n_left -= 1

    def _minibatch(self, rows: np.ndarray, counts: Block) -> Minibatch:
        index = torch.from_numpy(rows)
        batch = {key: table.index_select(0, index) for key, table in self.tables.items()}
        batch[REGISTRY_KEYS.X_KEY] = to_sparse_tensor(counts)
        return batch


def on_device(minibatch: Minibatch, device: torch.device) -> Minibatch:
    """Return a minibatch on a device."""
    return {key: value.to(device) for key, value in movable(minibatch, device).items()}


def movable(minibatch: Minibatch, device: torch.device) -> Minibatch:
    """Return a minibatch in a form that the device knows: Apple's GPU has no sparse tensors."""
    if device.type != "mps":
        return minibatch
    return {key: as_dense(value) for key, value in minibatch.items()}


def to_sparse_tensor(counts: Block) -> Tensor:
    """Float32 sparse CSR tensor of counts (cells, genes)."""
    block: Any = counts if sparse.issparse(counts) else sparse.csr_matrix(counts)  # which would copy
    return torch.sparse_csr_tensor(
        torch.from_numpy(block.indptr),
        torch.from_numpy(block.indices),
        torch.from_numpy(block.data.astype(np.float32, copy=False)),
        size=block.shape,
        check_invariants=False,
    )


def _hear_out_torch() -> None:
    """Take torch's one warning in each process, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        to_sparse_tensor(np.zeros((1, 1), dtype=np.float32))


def _block_shuffled(indices: np.ndarray) -> np.ndarray:
    """Sorted positions, in blocks of neighbours whose order is random; a short block comes last."""
    ordered = np.sort(indices)
    n_full = len(ordered) // BLOCK
    blocks = ordered[: n_full * BLOCK].reshape(n_full, BLOCK)[torch.randperm(n_full).numpy()]
    return np.concatenate([blocks.ravel(), ordered[n_full * BLOCK :]])


def _positions(indices: Sequence[int] | np.ndarray | None, n_cells: int) -> np.ndarray:
    if indices is None:
        return np.arange(n_cells)
    array = np.asarray(indices)
    return np.flatnonzero(array) if array.dtype == bool else array.astype(np.int64)


def _table(data: Any) -> Tensor:
    """Contiguous rows: whole numbers for codes, float32 for the rest."""
    values = np.asarray(data.to_numpy() if hasattr(data, "to_numpy") else data)
    kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
    return torch.from_numpy(np.require(values, kind, ["C", "W"]))  # pandas may hand out what is read-only


_hear_out_torch()
