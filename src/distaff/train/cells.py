"""Minibatches of cells whose counts stay sparse."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch import Tensor

from distaff._checks import check_int, error
from distaff._disk import Block
from distaff.ops import Part, as_dense
from distaff.train.resident import ResidentCounts
from distaff.train.rows import take_rows
from distaff.train.sources import RowSource, row_source

__all__ = ["CellLoader", "PartOfMinibatch", "movable", "on_device", "part_by_part"]

Minibatch = dict[str, Tensor]

POOL = 8192  # cells of a file that are shuffled together


class PartOfMinibatch:
    """Cells of a minibatch that one of several processes holds.

    Parameters
    ----------
    tensors
        What is known of these cells.
    part
        Which of the minibatch's cells they are.
    """

    def __init__(self, tensors: Minibatch, part: Part) -> None:
        self.tensors = tensors
        self.part = part


class CellLoader:
    """Minibatches of the cells of a registered AnnData.

    The counts of a minibatch are a sparse CSR tensor, float32 (cells, genes), or a dense one on the GPU where
    all counts are kept; everything else is dense, as scvi-tools' own loader gives it. Cells on disk are
    shuffled by blocks: blocks of 256 to 1,024 neighbours (four chunks of the file, within these limits) are
    read in random order, and the cells of 8,192 mixed.

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
    rank, n_processes
        Which of several processes this one is. All draw the same order, and each reads its part of each
        minibatch, which comes as a :class:`PartOfMinibatch`.
    source
        Where the counts are taken from; None for the AnnData.
    """

    def __init__(
        self,
        manager: AnnDataManager,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        n_processes: int = 1,
        source: RowSource | None = None,
    ) -> None:
        self.indices = cell_positions(indices, manager.adata.n_obs)
        self.batch_size = check_int("batch_size", batch_size, minimum=1)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rank = rank
        self.n_processes = n_processes
        self.source = source or row_source(manager.get_from_registry(REGISTRY_KEYS.X_KEY))
        self.rows: np.ndarray | None = None  # cells of the minibatch that was given out last
        self.tables: dict[str, Tensor] = {}
        for key in manager.data_registry:
            if key != REGISTRY_KEYS.X_KEY:
                data = manager.get_from_registry(key)
                if not isinstance(data, str):  # how the data are minified
                    self.tables[key] = _table(data)

    def __len__(self) -> int:
        full, tail = divmod(len(self.indices), self.batch_size)
        return full + (tail > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:  # minibatches, or the parts of them that are read here
        n_left = len(self)
        for pool in self._pools():
            starts = range(0, len(pool), self.batch_size)
            own = [self._own(pool[first : first + self.batch_size]) for first in starts][:n_left]
            if not own:
                return
            n_left -= len(own)
            block, place = self.source.pool(np.concatenate([rows for rows, _ in own]))
            at = 0
            for rows, part in own:
                yield self._minibatch(rows, _taken(block, place[at : at + len(rows)]), part)
                at += len(rows)

    def _pools(self) -> list[np.ndarray]:
        """Positions in the order of this pass, in parts that are read together; all random draws are here."""
        if not self.source.on_disk:
            return [self.indices[torch.randperm(len(self.indices)).numpy()] if self.shuffle else self.indices]
        size = max(POOL // self.batch_size, 1) * self.batch_size
        order = _block_shuffled(self.indices, self.source.block_size) if self.shuffle else self.indices
        pools = [order[start : start + size] for start in range(0, len(order), size)]
        return [pool[torch.randperm(len(pool)).numpy()] for pool in pools] if self.shuffle else pools

    def _own(self, rows: np.ndarray) -> tuple[np.ndarray, Part | None]:
        """Rows of a minibatch that this process reads."""
        part = Part.of(len(rows), rank=self.rank, n_processes=self.n_processes)
        return (rows, None) if part is None else (rows[part.start : part.stop], part)

    def _minibatch(self, rows: np.ndarray, counts: Tensor, part: Part | None) -> Minibatch | PartOfMinibatch:
        self.rows, index = rows, torch.from_numpy(rows)
        batch = {key: table.index_select(0, index) for key, table in self.tables.items()}
        batch[REGISTRY_KEYS.X_KEY] = counts
        return batch if part is None else PartOfMinibatch(batch, part)


def _taken(block: Block | ResidentCounts, positions: np.ndarray) -> Tensor:
    """Rows of what a source has read: sparse on the CPU, or dense where it is kept."""
    return block.rows(positions) if isinstance(block, ResidentCounts) else take_rows(block, positions)


def on_device(minibatch: Minibatch, device: torch.device) -> Minibatch:
    """Return a minibatch on a device; to a GPU of NVIDIA or AMD it travels while the host goes on."""
    return {key: _sent(value, device) for key, value in movable(minibatch, device).items()}


def _sent(value: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda" or value.device.type != "cpu":
        return value.to(device)
    return part_by_part(value, lambda part: part.pin_memory().to(device, non_blocking=True))


def part_by_part(value: Tensor, move: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a tensor whose arrays, of which a sparse one has three, have been moved."""
    if value.layout is not torch.sparse_csr:
        return move(value)
    indptr, indices, values = value.crow_indices(), value.col_indices(), value.values()
    size = tuple(value.shape)
    return torch.sparse_csr_tensor(
        move(indptr), move(indices), move(values), size=size, check_invariants=False
    )


def movable(minibatch: Minibatch, device: torch.device) -> Minibatch:
    """Return a minibatch in a form that the device knows: Apple's GPU has no sparse tensors."""
    if device.type != "mps":
        return minibatch
    return {key: as_dense(value) for key, value in minibatch.items()}


def _hear_out_torch() -> None:
    """Take torch's one warning in each process, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        take_rows(np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int64))


def _block_shuffled(indices: np.ndarray, size: int) -> np.ndarray:
    """Sorted positions, in blocks of neighbours whose order is random; a short block comes last."""
    ordered = np.sort(indices)
    n_full = len(ordered) // size
    blocks = ordered[: n_full * size].reshape(n_full, size)[torch.randperm(n_full).numpy()]
    return np.concatenate([blocks.ravel(), ordered[n_full * size :]])


def cell_positions(
    indices: Sequence[int] | np.ndarray | None, n_cells: int, *, name: str = "indices"
) -> np.ndarray:
    """Positions of cells among ``n_cells``, from 0; given as such or as truth values, None is all."""
    if indices is None:
        return np.arange(n_cells)
    try:
        array = np.asarray(indices)
    except ValueError:  # lists of different lengths
        array = np.empty((0, 0))
    fix = "Give positions of cells, or one truth value a cell."
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "biu"):
        got = f"{array.ndim} dimensions" if array.ndim != 1 else f"dtype {array.dtype}"
        raise error(f"{name} must be a list of whole numbers", got=got, fix=fix, kind=TypeError)
    if array.dtype == bool:
        if len(array) != n_cells:
            raise error(f"{name} must hold {n_cells} truth values", got=len(array), fix=fix)
        return np.flatnonzero(array)
    outside = (array < -n_cells) | (array >= n_cells)
    if outside.any():
        first = int(array[outside.argmax()])
        raise error(f"{name} must be below the {n_cells} cells", got=first, fix=fix, kind=IndexError)
    return array.astype(np.int64) % max(n_cells, 1)


def _table(data: Any) -> Tensor:
    """Contiguous rows: whole numbers for codes, float32 for the rest."""
    values = np.asarray(data.to_numpy() if hasattr(data, "to_numpy") else data)
    kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
    return torch.from_numpy(np.require(values, kind, ["C", "W"]))  # pandas may hand out what is read-only


_hear_out_torch()
