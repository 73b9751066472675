"""Cells as Lightning asks for them: chunks of minibatches to train on, minibatches to validate on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from math import ceil

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch import Tensor

from distaff.train.cells import CellLoader, on_device
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
        Which cells train and validate, and how many make a minibatch.
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
        )
        return loader if self.chunk_size is None else Chunks(loader, self.chunk_size)

    def val_dataloader(self) -> CellLoader | list[Minibatch]:
        """Validation cells in the order of the data, in which a file is read fastest."""
        if not len(self.split.validation):
            return []
        return CellLoader(self.manager, np.sort(self.split.validation), batch_size=self.split.batch_size)

    def transfer_batch_to_device(
        self, batch: Minibatch | Chunk, device: torch.device, dataloader_idx: int
    ) -> Minibatch | Chunk:
        """Move a minibatch; those of a chunk follow one by one."""
        del dataloader_idx
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
