"""The training plan of models in Pyro: Adam on a differentiable ELBO, with a learning rate that runs out."""

from __future__ import annotations

import math
from typing import Any

import pyro
import torch
from scvi.module.base import PyroBaseModuleClass
from scvi.train import LowLevelPyroTrainingPlan
from torch import Tensor

from distaff._checks import check_number
from distaff.train.plan import DivergenceError

__all__ = ["SVIPlan"]

# far below Adam's default: gradients of inclusion probabilities near 0 or 1 are tiny but must count
EPS = 1e-15


class SVIPlan(LowLevelPyroTrainingPlan):
    """Stochastic variational inference.

    Parameters
    ----------
    module
        Module to train; its ``model`` and ``guide`` have no parameters in Pyro's global store.
    loss
        Negative ELBO.
    lr
        Learning rate at the start; it falls linearly to 0.
    n_steps
        Number of optimiser steps of the run.
    n_sets_only
        Number of its first steps in which the module is told to train annotated factors alone.
    """

    def __init__(
        self,
        module: PyroBaseModuleClass,
        loss: pyro.infer.ELBO,
        *,
        lr: float,
        n_steps: int,
        n_sets_only: int = 0,
    ) -> None:
        check_number("lr", lr, above=0)
        super().__init__(module, loss_fn=loss, optim_kwargs={"lr": lr, "eps": EPS})
        self.n_steps = n_steps
        self.n_sets_only = n_sets_only
        self.losses: dict[str, list[Tensor]] = {"train": [], "validation": []}
        self.sizes: dict[str, list[int]] = {"train": [], "validation": []}
        self.dimension_curves: dict[str, list[Tensor]] = {}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a minibatch."""
        del batch_idx
        self.module.sets_only = self.global_step < self.n_sets_only
        return self._loss(batch, "train")

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the loss of a minibatch of held-out cells."""
        del batch_idx
        self._loss(batch, "validation")

    def _loss(self, batch: dict[str, Tensor], mode: str) -> Tensor:
        args, kwargs = self.module._get_fn_args_from_batch(batch)
        loss = self.differentiable_loss_fn(self.module.model, self.module.guide, *args, **kwargs)
        self.losses[mode].append(loss.detach() * len(args[0]))
        self.sizes[mode].append(len(args[0]))
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the epoch."""
        loss = self._log_epoch("train")
        if not math.isfinite(loss):
            raise DivergenceError(
                f"The loss is {loss} in epoch {self.current_epoch}. Lower the learning rate (now "
                f"{self.trainer.optimizers[0].param_groups[0]['lr']:g}) and check the data with "
                "distaff.pp.check_counts."
            )

    def on_validation_epoch_end(self) -> None:
        """Log the epoch on held-out cells."""
        self._log_epoch("validation")

    def _log_epoch(self, mode: str) -> float:
        loss = float(torch.stack(self.losses[mode]).sum()) / sum(self.sizes[mode])
        self.losses[mode], self.sizes[mode] = [], []
        self.log(f"{mode}_loss", loss, on_epoch=True, prog_bar=mode == "train")
        self.log(f"elbo_{mode}", loss, on_epoch=True)  # negative, as scvi-tools' curve of this name
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, with a learning rate that falls linearly to 0."""
        optimizer = super().configure_optimizers()
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1.0 - step / self.n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
