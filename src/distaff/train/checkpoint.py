"""Checkpoints of a run in several processes, of which the first writes."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from scvi.train import SaveCheckpoint
from torch import Tensor

__all__ = ["SharedCheckpoint"]


class SharedCheckpoint(SaveCheckpoint):
    """scvi-tools' checkpoints, which each process would write and remove."""

    best_model_path: str

    def on_save_checkpoint(self, trainer: Trainer, *args: Any) -> None:
        """Save the model."""
        if trainer.is_global_zero:
            super().on_save_checkpoint(trainer, *args)

    def _remove_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        if trainer.is_global_zero:
            super()._remove_checkpoint(trainer, filepath)

    def _update_best_and_save(
        self, current: Tensor, trainer: Trainer, monitor_candidates: dict[str, Tensor]
    ) -> None:
        if trainer.is_global_zero:
            super()._update_best_and_save(current, trainer, monitor_candidates)
        else:  # Lightning's part has all processes meet; scvi-tools' moves files
            ModelCheckpoint._update_best_and_save(self, current, trainer, monitor_candidates)
            self.best_model_path = self.best_model_path.split(".ckpt")[0]
