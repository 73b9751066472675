"""Cells as Lightning asks for them: chunks of minibatches to train on, minibatches to validate on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from math import ceil

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from pandas.util import hash_array
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch import Tensor

from distaff._checks import error
from distaff.train.cells import CellLoader, PartOfMinibatch, on_device
from distaff.train.sources import RowSource, row_source
from distaff.train.split import Split

__all__ = ["CellData", "Chunk", "Chunks", "dense_data"]

Minibatch = dict[str, Tensor]


class Chunk:
    """Several minibatches, one after the other, for one step of Lightning's.

    Parameters
    ----------
    minibatches
        The minibatches; read once.
    """

    def __init__(self, minibatches: Iterator[Minibatch]) -> None:
        self.minibatches = minibatches

    def __iter__(self) -> Iterator[Minibatch]:
        return self.minibatches


class Chunks:
    """A loader's minibatches in chunks; none is read before it is asked for.

    Parameters
    ----------
    loader
        Loader of minibatches.
    size
        Minibatches a chunk; the last may have fewer.
    """

    def __init__(self, loader: CellLoader, size: int) -> None:
        self.loader = loader
        self.size = size

    def __len__(self) -> int:
        return ceil(len(self.loader) / self.size)

    def __iter__(self) -> Iterator[Chunk]:
        minibatches = iter(self.loader)
        for _ in range(len(self)):
            yield Chunk(islice(minibatches, self.size))


class CellData(LightningDataModule):
    """Training and validation cells of a registered AnnData.

    Parameters
    ----------
    manager
        Manager of the AnnData.
    split
        Which cells train and validate, and how many make a minibatch, in all processes together.
    chunk_size
        Minibatches that are handed out together to train on; None for one at a time.
    """

    def __init__(self, manager: AnnDataManager, split: Split, *, chunk_size: int | None = None) -> None:
        super().__init__()
        self.manager = manager
        self.split = split
        self.chunk_size = chunk_size
        # under these names scvi-tools looks for them
        self.train_idx, self.val_idx, self.test_idx = split.train, split.validation, split.test
        self.n_train, self.n_val = len(split.train), len(split.validation)
        self.rank, self.n_processes = 0, 1
        self.source: RowSource | None = None

    def setup(self, stage: str) -> None:
        """Look which of several processes this is, and check that all have the same cells and genes.

        Raises
        ------
        ValueError
            If they have not.
        """
        del stage
        trainer = self.trainer
        if trainer is None or trainer.world_size == 1:
            return
        self.rank, self.n_processes = trainer.global_rank, trainer.world_size
        own = self._digest()
        same = trainer.strategy.broadcast(own) == own
        if not trainer.strategy.reduce_boolean_decision(same):
            raise error(
                "All processes must train on the same cells and genes in the same order",
                got="others" if not same else "others in another process",
                fix="Draw nothing at random before training without a seed, and sort what comes from a set.",
            )

    def _digest(self) -> str:
        """What tells the data and their split from others."""
        adata, split = self.manager.adata, self.split
        names = [hash_array(np.asarray(axis, dtype=object)) for axis in (adata.obs_names, adata.var_names)]
        digest = sha256()
        for values in (*names, split.train, split.validation):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def _source(self) -> RowSource:
        """Counts of all cells, read once for training and validation."""
        if self.source is None:
            device = None if self.trainer is None else self.trainer.strategy.root_device
            self.source = row_source(self.manager.get_from_registry(REGISTRY_KEYS.X_KEY), device)
        return self.source

    @property
    def validates(self) -> bool:
        """Whether there are cells to validate on."""
        return len(self.split.validation) > 0

    def train_dataloader(self) -> CellLoader | Chunks:
        """Training cells, in a new order each time."""
        loader = CellLoader(
            self.manager,
            self.split.train,
            batch_size=self.split.batch_size,
            shuffle=True,
            drop_last=self.split.drop_last,
            rank=self.rank,
            n_processes=self.n_processes,
            source=self._source(),
        )
        return loader if self.chunk_size is None else Chunks(loader, self.chunk_size)

    def val_dataloader(self) -> CellLoader | list[Minibatch]:
        """Validation cells in the order of the data, in which a file is read fastest."""
        if not len(self.split.validation):
            return []
        return CellLoader(
            self.manager,
            np.sort(self.split.validation),
            batch_size=self.split.batch_size,
            rank=self.rank,
            n_processes=self.n_processes,
            source=self._source(),
        )

    def transfer_batch_to_device(
        self, batch: Minibatch | PartOfMinibatch | Chunk, device: torch.device, dataloader_idx: int
    ) -> Minibatch | PartOfMinibatch | Chunk:
        """Move a minibatch; those of a chunk follow one by one."""
        del dataloader_idx
        if isinstance(batch, PartOfMinibatch):
            return PartOfMinibatch(on_device(batch.tensors, device), batch.part)
        return batch if isinstance(batch, Chunk) else on_device(batch, device)


def dense_data(manager: AnnDataManager, split: Split) -> DataSplitter:
    """Return scvi-tools' own data module, with dense counts, for the same cells."""
    with warnings.catch_warnings():  # a run of one minibatch of two cells is what the user asked for
        warnings.filterwarnings("ignore", message="Last batch will have a small size")
        return DataSplitter(
            manager,
            external_indexing=[split.train, split.validation, split.test],
            batch_size=split.batch_size,
            drop_last=split.drop_last,
        )
