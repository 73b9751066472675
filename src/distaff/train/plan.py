"""The training plan: one optimiser step a minibatch, metrics kept as tensors, logged once an epoch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from scvi.module.base import BaseModuleClass
from scvi.train import TrainingPlan
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from distaff._checks import check_number
from distaff.ops import holding
from distaff.ops.kernels.compile import is_compiled
from distaff.train.cells import PartOfMinibatch, on_device
from distaff.train.curves import publish
from distaff.train.data import Chunk
from distaff.train.guard import Guard, log_size
from distaff.train.phases import LearningRatePhases
from distaff.train.proximal import apply_proximal_steps

if TYPE_CHECKING:
    from distaff.module.minibatch import MinibatchLoss

__all__ = ["FactorTrainingPlan"]

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016
MOST_PENDING = 4096  # cells whose terms are kept before they are added up


class FactorTrainingPlan(TrainingPlan):
    """Adam on the module's loss.

    Parameters
    ----------
    module
        Module to train; its ``objective`` counts the optimiser steps.
    lr
        Learning rate, where there are no phases.
    phases
        Learning rate by epoch; None for a constant one.
    weight_decay
        L2 penalty of Adam (scvi-tools' default).
    eps
        Term added to Adam's denominator (scvi-tools' default, far above torch's).
    chunks
        Whether minibatches come in chunks, whose optimiser steps the plan takes itself.
    """

    def __init__(
        self,
        module: BaseModuleClass,
        *,
        lr: float = 1e-3,
        phases: LearningRatePhases | None = None,
        weight_decay: float = 1e-6,
        eps: float = 0.01,
        chunks: bool = False,
    ) -> None:
        check_number("lr", lr, above=0)
        check_number("weight_decay", weight_decay, minimum=0)
        check_number("eps", eps, above=0)
        super().__init__(module, lr=lr, weight_decay=weight_decay, eps=eps, n_epochs_kl_warmup=None)
        # the objective weighs the KL by the number of steps; scvi's own weight would do so twice
        self.loss_kwargs.pop("kl_weight", None)
        self.phases = phases
        self.automatic_optimization = not chunks
        self.sums: dict[str, dict[str, Tensor]] = {"train": {}, "validation": {}}
        self.pending: dict[str, list[MinibatchLoss]] = {"train": [], "validation": []}
        self.n_pending = {"train": 0, "validation": 0}
        self.n_cells = {"train": 0, "validation": 0}
        self.dimension_curves: dict[str, list[Tensor]] = defaultdict(list)
        self.guard = Guard(self)

    @property
    def counter(self) -> Any:
        """What counts optimiser steps."""
        return self.module.objective

    def initialize_train_metrics(self) -> None:
        """Make none of scvi-tools' metrics, which take 10 ms a run and are not used here."""

    def initialize_val_metrics(self) -> None:
        """Make none of scvi-tools' metrics."""

    def setup(self, stage: str) -> None:
        """Name the weights that no gradient reaches, which several processes must not wait for."""
        del stage
        empty = [name for name, weight in self.named_parameters() if not weight.numel()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, empty)

    # --- steps -----------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """Say why the first minibatch of all takes long."""
        super().on_train_start()
        if self.device.type == "cpu" and not is_compiled():
            rank_zero_info("distaff compiles its loops for this processor, once: about 20 seconds.")

    def on_train_epoch_start(self) -> None:
        """Have the guard note what the epoch begins with."""
        self.guard.begin_epoch()

    def training_step(
        self, batch: dict[str, Tensor] | PartOfMinibatch | Chunk, batch_idx: int
    ) -> Tensor | None:
        """Loss of a minibatch; of a chunk, whose optimiser steps are taken here, that of the last."""
        del batch_idx
        with self.guard.watching():
            return self._train_on(batch) if isinstance(batch, Chunk) else self._step(batch, "train").loss

    def _train_on(self, chunk: Chunk) -> Tensor | None:
        """One optimiser step a minibatch, without the trainer's work in between; return the last loss."""
        optimiser = self.optimizers(use_pl_optimizer=False)
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        by_hand = self.module.whole_step(optimiser)
        loss = None
        try:
            for minibatch in chunk:
                found = self._take_step(optimiser, by_hand, on_device(minibatch, self.device))
                self._accumulate(found, "train")
                loss = found.loss
                progress.increment_ready()
                progress.increment_completed()
        finally:
            if by_hand is not None:
                by_hand.store()
        if loss is not None and self.device.type == "cpu" and not math.isfinite(value := loss.item()):
            raise self.guard.found(f"The loss is {value}")
        return loss

    def _take_step(
        self, optimiser: torch.optim.Optimizer, by_hand: Any, batch: dict[str, Tensor]
    ) -> MinibatchLoss:
        """One optimiser step: by hand where that is written out, else by autograd."""
        found: MinibatchLoss | None = None if by_hand is None else by_hand(batch)
        if found is not None:
            self._after_step(optimiser, penalised=True)
            return found
        optimiser.zero_grad()
        found = self.module.minibatch_loss(batch)
        found.loss.backward()
        if self.automatic_optimization:  # the trainer took this step, and it is taken again
            clip = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
            self.configure_gradient_clipping(optimiser, *clip)
        optimiser.step()
        self._after_step(optimiser, penalised=False)
        return found

    def steps(
        self, batches: Iterable[dict[str, Tensor] | Chunk]
    ) -> Iterator[tuple[dict[str, Tensor], Callable[[], MinibatchLoss]]]:
        """Minibatches, each with a function that takes its step as training did and leaves all up to date."""
        optimiser = self.optimizers(use_pl_optimizer=False)
        for batch in batches:
            chunk = batch if isinstance(batch, Chunk) else [batch]
            by_hand = self.module.whole_step(optimiser) if isinstance(batch, Chunk) else None
            for minibatch in chunk:
                tensors = on_device(minibatch, self.device)
                yield tensors, partial(self._take_and_store, optimiser, by_hand, tensors)

    def _take_and_store(self, optimiser: Any, by_hand: Any, batch: dict[str, Tensor]) -> MinibatchLoss:
        found = self._take_step(optimiser, by_hand, batch)
        if by_hand is not None:
            by_hand.store()
        return found

    def loss_of(self, minibatch: dict[str, Tensor]) -> Tensor:
        """Loss of a minibatch, by autograd."""
        return self.module.minibatch_loss(minibatch).loss  # type: ignore[no-any-return]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look at the losses at the end of an epoch, before validation would meet what went wrong."""
        del outputs, batch, batch_idx
        if self.trainer.is_last_batch:
            self._check_finite()

    def on_train_end(self) -> None:
        """Look at the weights a last time."""
        self.guard.check_weights()

    def validation_step(self, batch: dict[str, Tensor] | PartOfMinibatch, batch_idx: int) -> None:
        """Record the loss of a minibatch of held-out cells, with the same weights as in training."""
        del batch_idx
        self._step(batch, "validation")

    def _step(self, batch: dict[str, Tensor] | PartOfMinibatch, mode: str) -> MinibatchLoss:
        """Loss of a minibatch, in every process that of all its cells."""
        tensors, part = (batch.tensors, batch.part) if isinstance(batch, PartOfMinibatch) else (batch, None)
        with holding(part):
            found = self.module.minibatch_loss(tensors)
        self._accumulate(found, mode)
        return found

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step as the trainer asks for it."""
        super().optimizer_step(*args, **kwargs)
        self._after_step(self.optimizers(use_pl_optimizer=False), penalised=False)

    def _after_step(self, optimiser: torch.optim.Optimizer, *, penalised: bool) -> None:
        """Take the proximal steps unless that was done, then count: schedules run in realised steps."""
        if not penalised:
            apply_proximal_steps(self.module.decoder, optimiser)
        self.module.objective.advance()

    # --- metrics ---------------------------------------------------------------------------------

    @property
    def curve_names(self) -> list[str]:
        """Names of the numbers of an epoch, those of validation cells first."""
        objective = self.module.objective
        parts = [f"loss_{name}" for name in objective.part_names]
        means = ["elbo", "reconstruction_loss", "kl_local", "active_units", *parts]
        modes = ("validation", "train")
        curves = [name for mode in modes for name in (f"{mode}_loss", *(f"{mean}_{mode}" for mean in means))]
        return curves + [f"schedule_{name}" for name in objective.schedule_values()]

    def _accumulate(self, found: MinibatchLoss, mode: str) -> None:
        """Keep the terms of a minibatch; they are added up many at a time, and nothing waits for them."""
        n = len(found.reconstruction)
        self.pending[mode].append(found.detached())
        self.n_cells[mode] += n
        self.n_pending[mode] += n
        if self.n_pending[mode] >= MOST_PENDING:
            self._add_up(mode)

    @torch.no_grad()
    def _add_up(self, mode: str) -> None:
        """Add what was kept to the epoch's sums, on the device."""
        pending, self.pending[mode], self.n_pending[mode] = self.pending[mode], [], 0
        if not pending:
            return
        if mode == "train":
            self.guard.begin_with(pending[0])
        dtype = torch.float32 if self.device.type == "mps" else torch.float64  # MPS has no float64

        def total(of: Callable[[MinibatchLoss], Tensor]) -> Tensor:
            """Sum over cells; a scalar counts for all cells of its minibatch."""
            terms = [of(found) for found in pending]
            if terms[0].ndim == 1:
                return torch.cat(terms).sum(dtype=dtype)
            if terms[0].ndim == 2:
                return torch.stack([term.sum(0) for term in terms]).sum(0, dtype=dtype)
            sizes = torch.tensor([len(found.reconstruction) for found in pending], device=terms[0].device)
            return (torch.stack(terms) * sizes).sum(dtype=dtype)

        kl_per_dimension = total(lambda found: found.kl)
        sums = {
            "loss": total(lambda found: found.loss),
            "reconstruction_loss": total(lambda found: found.reconstruction),
            "kl_local": kl_per_dimension.sum() + total(lambda found: found.kl_library),
            "kl_per_dimension": kl_per_dimension,
            "log_size": total(log_size),
            "location_sum": total(lambda found: found.location),
            "location_squares": total(lambda found: found.location.square()),
        }
        for name in pending[0].parts:
            sums[f"loss_{name}"] = total(lambda found, name=name: found.parts[name])  # type: ignore[misc]
        known = self.sums[mode]
        self.sums[mode] = {name: known[name] + value if known else value for name, value in sums.items()}

    def on_train_epoch_end(self) -> None:
        """Log the epoch, and move on to the next learning rate where the trainer does not."""
        self._check_finite()
        self._log_epoch("train")
        if not self.automatic_optimization and self.phases is not None:
            self.lr_schedulers().step()

    def on_validation_epoch_end(self) -> None:
        """Log the epoch on held-out cells, before early stopping looks."""
        self._log_epoch("validation")

    def _log_epoch(self, mode: str) -> None:
        if not self.n_cells[mode]:
            return
        self._add_up(mode)
        means = {name: total / self.n_cells[mode] for name, total in self.sums[mode].items()}
        self.sums[mode], self.n_cells[mode] = {}, 0
        variance = means.pop("location_squares") - means.pop("location_sum").square()
        kl_per_dimension = means.pop("kl_per_dimension")
        loss = float(means.pop("loss"))
        del means["log_size"]
        curves: dict[str, Any] = {"train_loss" if mode == "train" else "validation_loss": loss}
        curves[f"elbo_{mode}"] = means["reconstruction_loss"] + means["kl_local"]
        curves[f"active_units_{mode}"] = (variance > ACTIVE_VARIANCE).sum()
        curves |= {f"{name}_{mode}": value for name, value in means.items()}
        if mode == "train":
            values = self.module.objective.schedule_values()
            curves |= {f"schedule_{name}": value for name, value in values.items()}
        self.dimension_curves[f"kl_per_dimension_{mode}"].append(kl_per_dimension.cpu())
        publish(self.trainer, {name: float(value) for name, value in curves.items()}, shown="train_loss")

    def _check_finite(self) -> None:
        """Raise the guard's error if the losses of the epoch do not add up to a number, or soar."""
        if not self.n_cells["train"]:
            return
        self._add_up("train")
        sums, n_cells = self.sums["train"], self.n_cells["train"]
        loss = float(sums["loss"]) / n_cells
        if not math.isfinite(loss):
            parts = {name.removeprefix("loss_"): v for name, v in sums.items() if name.startswith("loss_")}
            terms = [name for name, value in parts.items() if not value.isfinite()]
            raise self.guard.found(f"The loss is {loss}", terms)
        self.guard.check_size(float(sums["log_size"]) / n_cells)

    # --- optimiser -------------------------------------------------------------------------------

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, with the learning-rate phases if there are any."""
        weights = [p for p in self.module.parameters() if p.requires_grad and p.numel()]
        optimiser = torch.optim.Adam(
            weights, lr=self.lr, eps=self.eps, weight_decay=self.weight_decay, fused=_can_fuse(weights)
        )
        config: dict[str, Any] = {"optimizer": optimiser}
        if self.phases is not None:
            phases, lr = self.phases, self.lr
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: phases(epoch) / lr)
            config["lr_scheduler"] = {"scheduler": scheduler, "interval": "epoch"}
        return config


def _can_fuse(weights: Sequence[Tensor]) -> bool:
    """Whether torch has one kernel for all of Adam's step."""
    return all(w.device.type in ("cpu", "cuda") and w.is_floating_point() for w in weights)
