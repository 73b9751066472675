"""The training plan of models in Pyro: Adam on a differentiable ELBO, with a learning rate that runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyro
import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import PyroBaseModuleClass
from scvi.train import LowLevelPyroTrainingPlan
from torch import Tensor

from distaff._checks import check_number
from distaff.train.cells import on_device
from distaff.train.guard import Guard

__all__ = ["SVIPlan"]

# far below Adam's default: gradients of inclusion probabilities near 0 or 1 are tiny but must count
EPS = 1e-15


@dataclass
class Counter:
    """Number of optimiser steps taken in a run.

    Parameters
    ----------
    step
        The number.
    """

    step: int = 0


@dataclass(frozen=True)
class Step:
    """What an optimiser step has found.

    Parameters
    ----------
    loss
        The loss.
    """

    loss: Tensor


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
        self.counter = Counter()
        self.guard = Guard(self)

    @property
    def curve_names(self) -> list[str]:
        """Names of the numbers of an epoch, those of validation cells first."""
        return ["validation_loss", "elbo_validation", "train_loss", "elbo_train"]

    def on_train_epoch_start(self) -> None:
        """Have the guard note what the epoch begins with."""
        self.guard.begin_epoch()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a minibatch."""
        del batch_idx
        with self.guard.watching():
            loss = self.loss_of(batch)
        self._keep(loss, batch, "train")
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step as the trainer asks for it, and count."""
        super().optimizer_step(*args, **kwargs)
        self.counter.step += 1

    def steps(
        self, minibatches: Iterable[dict[str, Tensor]]
    ) -> Iterator[tuple[dict[str, Tensor], Callable[[], Step]]]:
        """Minibatches, each with a function that takes its step as training did."""
        for minibatch in minibatches:
            tensors = on_device(minibatch, self.device)
            yield tensors, partial(self._take_step, tensors)

    def _take_step(self, batch: dict[str, Tensor]) -> Step:
        optimiser = self.optimizers(use_pl_optimizer=False)
        optimiser.zero_grad()
        loss = self.loss_of(batch)
        loss.backward()
        clip = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
        self.configure_gradient_clipping(optimiser, *clip)
        optimiser.step()
        self.lr_schedulers().step()
        self.counter.step += 1
        return Step(loss.detach())

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the loss of a minibatch of held-out cells."""
        del batch_idx
        self._keep(self.loss_of(batch), batch, "validation")

    def loss_of(self, minibatch: dict[str, Tensor]) -> Tensor:
        """Loss of a minibatch; while the module trains, annotated factors may be alone."""
        if self.module.training:
            self.module.sets_only = self.counter.step < self.n_sets_only
        args, kwargs = self.module._get_fn_args_from_batch(minibatch)
        return self.differentiable_loss_fn(  # type: ignore[no-any-return]
            self.module.model, self.module.guide, *args, **kwargs
        )

    def _keep(self, loss: Tensor, batch: dict[str, Tensor], mode: str) -> None:
        n_cells = len(batch[REGISTRY_KEYS.X_KEY])
        self.losses[mode].append(loss.detach() * n_cells)
        self.sizes[mode].append(n_cells)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look at the losses at the end of an epoch, before validation would meet what went wrong."""
        del outputs, batch, batch_idx
        if self.trainer.is_last_batch:
            self._check_finite()

    def on_train_epoch_end(self) -> None:
        """Log the epoch."""
        self._check_finite()
        self._log_epoch("train")

    def on_train_end(self) -> None:
        """Look at the weights a last time."""
        self.guard.check_weights()

    def _check_finite(self) -> None:
        loss = float(torch.stack(self.losses["train"]).sum()) / sum(self.sizes["train"])
        if not math.isfinite(loss):
            raise self.guard.found(f"The loss is {loss}")

    def on_validation_epoch_end(self) -> None:
        """Log the epoch on held-out cells."""
        self._log_epoch("validation")

    def _log_epoch(self, mode: str) -> None:
        loss = float(torch.stack(self.losses[mode]).sum()) / sum(self.sizes[mode])
        self.losses[mode], self.sizes[mode] = [], []
        self.log(f"{mode}_loss", loss, on_epoch=True, prog_bar=mode == "train")
        self.log(f"elbo_{mode}", loss, on_epoch=True)  # negative, as scvi-tools' curve of this name

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, with a learning rate that falls linearly to 0."""
        optimizer = super().configure_optimizers()
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1.0 - step / self.n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
