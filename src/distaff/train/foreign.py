"""Minibatches of a data module that scvi-tools or others made: cleaned, and every count in them checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from scvi import REGISTRY_KEYS
from torch import Tensor

from distaff._checks import error
from distaff.train.cells import on_device
from distaff.train.split import SMALLEST_TAIL

__all__ = ["CheckedLoader", "ForeignData", "number_of_cells"]

Minibatch = dict[str, Tensor]

CODES = (REGISTRY_KEYS.BATCH_KEY, REGISTRY_KEYS.LABELS_KEY)
# a size factor is not among them: modules send one that nobody asked for
COVARIATES = (REGISTRY_KEYS.CAT_COVS_KEY, REGISTRY_KEYS.CONT_COVS_KEY)
RAW_FIX = "Give the data module raw counts."


class CheckedLoader:
    """Minibatches as the models know them, of a loader that leaves out or adds entries.

    A batch or label that is not given is one for all cells.

    Parameters
    ----------
    loader
        Minibatches.
    genes
        Names of the genes, for messages.
    is_count_data
        Whether values must be counts, else any finite number will do.
    prepare
        Called on each minibatch first.
    smallest
        Fewest cells of a minibatch; those of fewer are left out.

    Raises
    ------
    ValueError
        At the first minibatch with a value that is no count, with an empty cell or with other genes.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        genes: np.ndarray,
        *,
        is_count_data: bool,
        prepare: Callable[[Any], dict[str, Any]] | None = None,
        smallest: int = 1,
    ) -> None:
        self.loader = loader
        self.genes = genes
        self.is_count_data = is_count_data
        self.prepare = prepare
        self.smallest = smallest

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Minibatch]:
        for found in self.loader:
            minibatch = found if self.prepare is None else self.prepare(found)
            if not isinstance(minibatch, dict) or REGISTRY_KEYS.X_KEY not in minibatch:
                rule = f"Minibatches must be dicts with counts ({REGISTRY_KEYS.X_KEY!r})"
                raise error(rule, got=type(minibatch).__name__, kind=TypeError)
            if len(minibatch[REGISTRY_KEYS.X_KEY]) >= self.smallest:
                yield self._tidy(minibatch)

    def _tidy(self, found: dict[str, Any]) -> Minibatch:
        X = found[REGISTRY_KEYS.X_KEY]
        self._check(X)
        minibatch = {REGISTRY_KEYS.X_KEY: X.float()}
        for key in CODES:
            code = found.get(key)
            if not isinstance(code, Tensor) or code.numel() != len(X):
                code = torch.zeros(len(X), device=X.device)
            minibatch[key] = code.reshape(-1, 1).long()
        for key in COVARIATES:
            if isinstance(found.get(key), Tensor):
                minibatch[key] = found[key]
        return minibatch

    def _check(self, X: Tensor) -> None:
        if X.shape[1] != len(self.genes):
            raise error(f"Minibatches must have {len(self.genes)} genes", got=X.shape[1])
        values = X.values() if X.layout == torch.sparse_csr else X
        self._refuse(X, ~values.isfinite(), "be finite")
        if not self.is_count_data:
            return
        self._refuse(X, values < 0, "not be negative")
        self._refuse(X, values != values.round(), "be counts (whole numbers)")
        if (X.sum(1) == 0).any() if X.layout == torch.strided else _has_empty_row(X):
            raise error("Every cell of the data module must have counts", got="a cell without any")

    def _refuse(self, X: Tensor, bad: Tensor, rule: str) -> None:
        if not bad.any():
            return
        first = int(bad.flatten().nonzero()[0, 0])
        if X.layout == torch.sparse_csr:
            gene, value = int(X.col_indices()[first]), X.values()[first]
        else:
            gene, value = first % X.shape[1], X.flatten()[first]
        got = f"{float(value):g} for gene {str(self.genes[gene])!r}"
        raise error(f"Values of the data module must {rule}", got=got, fix=RAW_FIX)


def _has_empty_row(X: Tensor) -> bool:
    rows = torch.repeat_interleave(torch.arange(len(X), device=X.device), X.crow_indices().diff())
    totals = torch.zeros(len(X), device=X.device).index_add_(0, rows, X.values().float())
    return bool((totals == 0).any())


def number_of_cells(datamodule: Any) -> int:
    """Cells of another data module."""
    n_cells = getattr(datamodule, "n_obs", None)
    if n_cells is None:
        rule = "datamodule must be a data module that tells its number of cells (n_obs)"
        raise error(rule, got=type(datamodule).__name__, kind=TypeError)
    return int(n_cells)


class ForeignData(LightningDataModule):
    """Training and validation minibatches of another data module.

    Parameters
    ----------
    datamodule
        The module.
    genes
        Names of its genes.
    is_count_data
        Whether its values must be counts.
    """

    def __init__(self, datamodule: Any, genes: np.ndarray, *, is_count_data: bool) -> None:
        super().__init__()
        self.datamodule = datamodule
        self.genes = genes
        self.is_count_data = is_count_data
        for name in ("train_idx", "val_idx", "test_idx", "n_train", "n_val"):
            if hasattr(datamodule, name):  # under these names scvi-tools looks for them
                setattr(self, name, getattr(datamodule, name))
        datamodule.prepare_data()
        datamodule.setup("fit")

    @property
    def validates(self) -> bool:
        """Whether there are cells to validate on."""
        return isinstance(self.val_dataloader(), CheckedLoader)

    def train_dataloader(self) -> CheckedLoader:
        """Training minibatches; those too small for a batch norm are left out."""
        return self._checked(self.datamodule.train_dataloader(), smallest=SMALLEST_TAIL)

    def val_dataloader(self) -> CheckedLoader | list[Minibatch]:
        """Validation minibatches, none where the module has none."""
        loader = self.datamodule.val_dataloader()
        return [] if loader is None or isinstance(loader, list) else self._checked(loader)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Minibatches an epoch, by their cells where the loader does not say."""
        try:
            return max(1, len(self.train_dataloader()))
        except (TypeError, NotImplementedError):
            n_cells = getattr(self, "n_train", None) or self.datamodule.n_obs
            return ceil(n_cells / batch_size)

    def transfer_batch_to_device(
        self, batch: Minibatch, device: torch.device, dataloader_idx: int
    ) -> Minibatch:
        """Move a minibatch."""
        del dataloader_idx
        return on_device(batch, device)

    def _checked(self, loader: Iterable[Any], *, smallest: int = 1) -> CheckedLoader:
        return CheckedLoader(
            loader,
            self.genes,
            is_count_data=self.is_count_data,
            prepare=lambda found: self.datamodule.on_before_batch_transfer(found, 0),
            smallest=smallest,
        )
