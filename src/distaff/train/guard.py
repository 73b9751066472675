"""Finds where training left the finite numbers, at next to no cost while it does not.

In training nothing is looked at step by step. The loss of an epoch is a sum, which is not finite as soon as
one of its terms is not; weights are looked at now and then, and copied where they are finite. From that copy
the steps are taken once more, each looked at, until the first that fails; random states are those of the
first time.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff._checks import error, listing
from distaff.train.diagnosis import Diagnosis, Failure, diagnose
from distaff.train.divergence import DivergenceError, Place
from distaff.train.foreign import ForeignData
from distaff.train.snapshot import Snapshot, not_finite

__all__ = ["Guard", "log_size"]

SINGULAR = "A matrix cannot be factorised"
ABSURD = 1e4  # times the loss of the start, by the typical cell: no schedule, no outlier explains that
SHARE_OF_TIME = 0.003  # of training, at most, that looking at weights and copying them takes


def log_size(found: Any) -> Tensor:
    """Logarithm of what a cell costs, in nats; what is below one nat counts as one."""
    cost = found.reconstruction if hasattr(found, "reconstruction") else found.loss.reshape(1)
    return cost.detach().clamp(min=1.0).log()


@dataclass(frozen=True)
class EpochStart:
    """What an epoch begins with beside weights.

    Parameters
    ----------
    epoch
        Number of the epoch.
    random
        States of torch's generators, on the CPU and on the device.
    rates
        Learning rate of each group of parameters.
    schedulers
        States of their schedulers.
    """

    epoch: int
    random: tuple[Tensor, Tensor | None]
    rates: list[float]
    schedulers: list[dict[str, Any]]


class Guard:
    """Watches over the numbers of a plan with one optimiser.

    Parameters
    ----------
    plan
        The plan. Of what a loader gives, its ``steps`` yields minibatches, each with a function that takes
        its step; its ``loss_of`` gives the loss of a minibatch; its ``counter`` counts the steps.
    """

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.snapshot: Snapshot | None = None
        self.next = 0.0  # when the next copy is due
        self.starts: list[EpochStart] = []  # of the epochs since the copy
        self.first: float | None = None  # log_size() of the first minibatch, mean over its cells

    # --- while all is well -----------------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Note what an epoch begins with."""
        start = time.monotonic()
        if start >= self.next:
            self.check_weights()
            self.snapshot = self.snapshot or self._new_snapshot()
            self.snapshot.take()
            self.starts = []
            end = time.monotonic()
            self.next = end + (end - start) / SHARE_OF_TIME
        trainer, groups = self.plan.trainer, self._optimiser.param_groups
        schedulers = [copy.copy(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs]
        rates = [group["lr"] for group in groups]
        self.starts.append(EpochStart(trainer.current_epoch, self._random(), rates, schedulers))

    def check_weights(self) -> None:
        """Look at all weights, running averages and moments.

        Raises
        ------
        DivergenceError
            If one is not finite.
        ValueError
            If that was so before training.
        """
        bad = not_finite(self.plan.module, self._optimiser)
        if bad and self.snapshot is None:
            raise error(
                "Weights must be finite to be trained",
                got=f"others in {listing(bad)}",
                fix="Build the model anew.",
            )
        if bad:
            raise self.found(f"{bad[0]} is not finite")

    def begin_with(self, found: Any) -> None:
        """Note the size of the first loss, once."""
        if self.first is None:
            self.first = float(log_size(found).mean())

    def check_size(self, size: float) -> None:
        """Compare the losses of an epoch, mean :func:`log_size` over the cells, with the first.

        Raises
        ------
        DivergenceError
            If they are larger beyond reason, though all numbers are finite.
        """
        if self._is_absurd(size):
            raise self.found(self._absurd(size))

    def _is_absurd(self, size: float) -> bool:
        return self.first is not None and size > self.first + math.log(ABSURD)

    def _absurd(self, size: float) -> str:
        now, first = (f"{math.exp(value):.3g}" for value in (size, self.first or 0.0))
        return f"The loss of a cell is {now} nats, after {first} at the start"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take an error within for what it comes from, where weights are not finite."""
        try:
            with np.errstate(invalid="ignore", over="ignore"):  # it is the guard's to tell
                yield
        except DivergenceError:
            raise
        except torch.linalg.LinAlgError as problem:
            raise self.found(SINGULAR) from problem
        except (RuntimeError, ValueError) as problem:
            bad = not_finite(self.plan.module, self._optimiser)
            if not bad:
                raise
            raise self.found(f"{bad[0]} is not finite") from problem

    # --- once it is not --------------------------------------------------------------------------

    def found(self, what: str, terms: list[str] | None = None) -> DivergenceError:
        """Return the error for what was found, with where it began, and put the model back before it.

        Parameters
        ----------
        what
            What was found, and is said where the place is not.
        terms
            Terms of the loss of the epoch that are not finite.
        """
        lr = self._optimiser.param_groups[0]["lr"]
        fix = f"Lower the learning rate (now {lr:g}) and check the data with distaff.pp.check_counts."
        quiet = np.errstate(invalid="ignore", over="ignore")
        with torch.inference_mode(mode=False), torch.enable_grad(), quiet:
            diagnosis = self._again() if self._can_be_repeated() else None
        if diagnosis is not None:
            back = "The model has the weights of before this step."
            return DivergenceError(f"{diagnosis.text()}. {back} {fix}", diagnosis.place)
        epoch, step = self.starts[-1].epoch, self.plan.counter.step
        assert self.snapshot is not None
        self.snapshot.restore()
        where = f" in {', '.join(terms)}" if terms else ""
        return DivergenceError(
            f"{what}{where} in epoch {epoch} (by step {step}). The model has the weights of the start of "
            f"epoch {self.starts[0].epoch}. {fix}",
            Place(step=step, epoch=epoch, terms=terms or ()),
        )

    def _can_be_repeated(self) -> bool:
        """Whether steps are taken here alone, one a minibatch, of cells whose order is known."""
        trainer = self.plan.trainer
        return (
            trainer.world_size == 1
            and trainer.accumulate_grad_batches == 1
            and trainer.precision == "32-true"
            and not isinstance(trainer.datamodule, ForeignData)
        )

    def _again(self) -> Diagnosis | None:
        """Take the steps since the copy again; None if none fails."""
        assert self.snapshot is not None
        self.snapshot.restore()
        self.plan.module.train()
        before = self._new_snapshot()
        for start in self.starts:
            loader = self.plan.trainer.train_dataloader
            if start.epoch == 0:  # where the trainer has asked for the first minibatches long before
                minibatches = iter(loader)
            self._set(start)
            if start.epoch > 0:
                minibatches = iter(loader)
            some = islice(minibatches, self.plan.trainer.num_training_batches)
            for number, (minibatch, take) in enumerate(self.plan.steps(some), start=1):
                before.take()
                random = self._random()
                failed = self._fails(take)
                if failed is not None:
                    before.restore()
                    self._set_random(random)
                    found = diagnose(self.plan, minibatch, failed, epoch=start.epoch, number=number)
                    before.restore()  # running averages have followed once more
                    return found
        return None

    def _fails(self, take: Callable[[], Any]) -> Failure | None:
        """Take a step, and return what of it is not finite."""
        try:
            found = take()
        except torch.linalg.LinAlgError:
            return Failure(SINGULAR)
        bad = not_finite(self.plan.module, self._optimiser)
        loss = found.loss.item()
        if not math.isfinite(loss):
            return Failure(f"The loss is {loss}", getattr(found, "parts", {}))
        size = float(log_size(found).mean())
        if self._is_absurd(size):
            return Failure(self._absurd(size))
        return Failure(f"{bad[0]} is not finite") if bad else None

    def _new_snapshot(self) -> Snapshot:
        return Snapshot(self.plan.module, self._optimiser, self.plan.counter)

    # --- states ----------------------------------------------------------------------------------

    @property
    def _optimiser(self) -> torch.optim.Optimizer:
        return self.plan.trainer.optimizers[0]  # type: ignore[no-any-return]

    def _random(self) -> tuple[Tensor, Tensor | None]:
        device = self.plan.device
        return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def _set_random(self, random: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(random[0])
        if random[1] is not None:
            torch.cuda.set_rng_state(random[1], self.plan.device)

    def _set(self, start: EpochStart) -> None:
        self._set_random(start.random)
        for group, rate in zip(self._optimiser.param_groups, start.rates, strict=True):
            group["lr"] = rate
        for config, state in zip(self.plan.trainer.lr_scheduler_configs, start.schedulers, strict=True):
            config.scheduler.load_state_dict(state)
