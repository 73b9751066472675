"""The user's objective arguments, their checks, and the objective they stand for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from distaff._checks import check_choice, check_int, check_number, error
from distaff.objectives import AbstractTerm, BetaKL, Capacity, Objective
from distaff.ops import Constant, Linear, batch_capacity_penalty, cell_capacity_penalty

__all__ = ["ObjectiveConfig"]

CAPACITY_PENALTIES = {"batch": batch_capacity_penalty, "cell": cell_capacity_penalty}
RISING_SHARE = 0.5  # of the first run, in which beta or the capacity rises unless the user says how long


@dataclass(frozen=True)
class ObjectiveConfig:
    """Objective arguments common to all variational models; see :class:`~distaff.model.BetaVAE`."""

    beta: float
    capacity: float | None
    capacity_start: float
    capacity_steps: int | None
    capacity_mode: str
    kl_warmup_epochs: int | None
    kl_warmup_steps: int | None

    def __post_init__(self) -> None:
        check_number("beta", self.beta, minimum=0)
        check_choice("capacity_mode", self.capacity_mode, CAPACITY_PENALTIES)
        if self.capacity is not None:
            check_number("capacity", self.capacity, minimum=0)
        check_number("capacity_start", self.capacity_start, minimum=0)
        for name in ("capacity_steps", "kl_warmup_epochs", "kl_warmup_steps"):
            value = getattr(self, name)
            if value is not None:
                check_int(name, value, minimum=1 if name == "capacity_steps" else 0)
        if self.kl_warmup_epochs is not None and self.kl_warmup_steps is not None:
            raise error(
                "Only one of kl_warmup_epochs and kl_warmup_steps may be given",
                got=f"{self.kl_warmup_epochs} and {self.kl_warmup_steps}",
            )
        if self.has_capacity and (self.kl_warmup_epochs or self.kl_warmup_steps):
            raise error(
                "kl_warmup_epochs and kl_warmup_steps must be None with a capacity",
                got=self.kl_warmup_epochs or self.kl_warmup_steps,
                fix="The rising capacity is the warm-up: set capacity_steps.",
            )

    @property
    def has_capacity(self) -> bool:
        """Whether the KL has a target other than zero."""
        return bool(self.capacity)

    @property
    def has_warmup(self) -> bool:
        """Whether the weight of the KL rises."""
        return not self.has_capacity and 0 not in (self.kl_warmup_epochs, self.kl_warmup_steps)

    def build(self) -> Objective:
        """Objective with the schedules as far as they are known before a run."""
        return Objective([self._kl_term()])

    def _kl_term(self) -> AbstractTerm:
        if self.has_capacity:
            schedule = Linear(self.capacity_start, float(self.capacity or 0), n_steps=self.capacity_steps)
            return Capacity(self.beta, schedule, CAPACITY_PENALTIES[self.capacity_mode])
        if self.has_warmup:
            return BetaKL(Linear(0.0, self.beta, n_steps=self.kl_warmup_steps))
        return BetaKL(Constant(self.beta))

    def settle(self, objective: Objective, *, steps_per_epoch: int, n_epochs: int) -> None:
        """Fix the lengths of the schedules for a run, and warn about what will not finish in it."""
        run = _Run(first=objective.step, n_steps=steps_per_epoch * n_epochs, n_epochs=n_epochs)
        term = objective.terms[0]
        n_steps = term.schedule.n_steps
        if self.has_warmup:
            if n_steps is None and self.kl_warmup_epochs is not None:
                n_steps = steps_per_epoch * self.kl_warmup_epochs
            objective.settle(term.name, _within(run, n_steps or run.rising))
        elif self.has_capacity:
            n_steps = n_steps or run.rising
            objective.settle(term.name, n_steps)
            if n_steps > run.end:
                reached = objective.terms[0].schedule(run.end)
                warnings.warn(
                    f"The capacity rises over {n_steps} steps and {run}: it gets to {reached:.3g} of "
                    f"{self.capacity:.3g} nats. Train longer or lower capacity_steps.",
                    stacklevel=4,
                )


@dataclass(frozen=True)
class _Run:
    """Part of the training that one call of ``train`` does."""

    first: int
    n_steps: int
    n_epochs: int

    @property
    def end(self) -> int:
        return self.first + self.n_steps

    @property
    def rising(self) -> int:
        return max(1, int(RISING_SHARE * self.n_steps))

    def __str__(self) -> str:
        return f"the run ends at step {self.end} ({self.n_epochs} epochs, {self.n_steps} steps)"


def _within(run: _Run, n_steps: int) -> int:
    """Length of a warm-up that ends within the run."""
    if n_steps <= run.end:
        return n_steps
    shortened = run.rising
    warnings.warn(
        f"The KL warm-up takes {n_steps} steps and {run}: it is shortened to {shortened} steps, so that beta "
        "is reached. Train longer or warm up for less.",
        stacklevel=5,
    )
    return shortened
