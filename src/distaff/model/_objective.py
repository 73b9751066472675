"""The user's objective arguments, their checks, and the objective they stand for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distaff._checks import check_choice, check_int, check_number, error, listing
from distaff.objectives import (
    DIP1,
    DIP2,
    HSIC,
    AbstractTerm,
    BetaKL,
    Capacity,
    LatentNorm,
    Objective,
    TotalCorrelation,
)
from distaff.ops import (
    Constant,
    Cosine,
    Cyclical,
    Linear,
    Schedule,
    Sigmoid,
    batch_capacity_penalty,
    cell_capacity_penalty,
)

__all__ = ["OWN_TERMS", "TERMS", "ObjectiveConfig"]

CAPACITY_PENALTIES = {"batch": batch_capacity_penalty, "cell": cell_capacity_penalty}
RISES: dict[str, type] = {"linear": Linear, "cosine": Cosine, "sigmoid": Sigmoid, "cyclical": Cyclical}
DIP_FORMS: dict[str, type] = {"I": DIP1, "II": DIP2}
TERMS = ("reconstruction", "kl", "capacity", "total_correlation", "dip", "hsic", "latent_norm", "library")
OWN_TERMS: dict[str, Callable[[Schedule], AbstractTerm]] = {}  # see distaff.extend.register
RISING_SHARE = 0.5  # of the first run, in which beta or the capacity rises unless the user says how long


@dataclass(frozen=True)
class ObjectiveConfig:
    """Objective arguments common to all variational models; see :class:`~distaff.model.FactorVAE`."""

    beta: float
    capacity: float | None = None
    capacity_start: float = 0.1
    capacity_steps: int | None = None
    capacity_mode: str = "batch"
    kl_warmup_epochs: int | None = None
    kl_warmup_steps: int | None = None
    kl_schedule: str = "linear"
    total_correlation: float = 0.0
    dip: tuple[float, float] | None = None
    dip_form: str = "II"
    hsic: float = 0.0
    latent_norm: float = 0.0
    terms: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name in ("beta", "total_correlation", "hsic", "latent_norm", "capacity_start"):
            check_number(name, getattr(self, name), minimum=0)
        check_choice("capacity_mode", self.capacity_mode, CAPACITY_PENALTIES)
        check_choice("kl_schedule", self.kl_schedule, RISES)
        check_choice("dip_form", self.dip_form, DIP_FORMS)
        if self.capacity is not None:
            check_number("capacity", self.capacity, minimum=0)
        for name in ("capacity_steps", "kl_warmup_epochs", "kl_warmup_steps"):
            value = getattr(self, name)
            if value is not None:
                check_int(name, value, minimum=1 if name == "capacity_steps" else 0)
        self._check_dip()
        self._check_warmup()
        self._check_terms()

    def _check_terms(self) -> None:
        if self.terms is None:
            return
        if not isinstance(self.terms, Mapping):
            got = type(self.terms).__name__
            raise error("terms must be a dict from names to weights", got=got, kind=TypeError)
        for name, weight in self.terms.items():
            if name not in OWN_TERMS:
                raise error(
                    "terms must name registered terms",
                    got=repr(name),
                    fix=f"Registered are {listing(OWN_TERMS) or 'none'}: see distaff.extend.register_term.",
                )
            check_number(f"Weight of {name!r}", weight, minimum=0)

    def _check_dip(self) -> None:
        if self.dip is None:
            return
        if isinstance(self.dip, str) or not isinstance(self.dip, Sequence) or len(self.dip) != 2:
            raise error("dip must be a pair of weights (off-diagonal, diagonal)", got=repr(self.dip))
        check_number("Off-diagonal weight of dip", self.dip[0], above=0)
        check_number("Diagonal weight of dip", self.dip[1], minimum=0)

    def _check_warmup(self) -> None:
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
        """Whether weights rise from 0."""
        return 0 not in (self.kl_warmup_epochs, self.kl_warmup_steps)

    def build(self) -> Objective:
        """Objective with the schedules as far as they are known before a run."""
        terms: list[AbstractTerm] = [self._kl_term()]
        if self.total_correlation:
            terms.append(TotalCorrelation(self._rising(self.total_correlation)))
        if self.dip is not None:
            off_diagonal, diagonal = self.dip
            ratio = diagonal / off_diagonal
            terms.append(DIP_FORMS[self.dip_form](self._rising(off_diagonal), diagonal_ratio=ratio))
        if self.hsic:
            terms.append(HSIC(self._rising(self.hsic)))
        if self.latent_norm:
            terms.append(LatentNorm(Constant(self.latent_norm)))
        terms += [self._own_term(name, weight) for name, weight in (self.terms or {}).items()]
        return Objective(terms)

    def _own_term(self, name: str, weight: float) -> AbstractTerm:
        term = OWN_TERMS[name](self._rising(weight))
        if term.name != name:
            raise error(f"The term registered as {name!r} must have this name", got=repr(term.name))
        return term

    def _kl_term(self) -> AbstractTerm:
        if self.has_capacity:
            schedule = Linear(self.capacity_start, float(self.capacity or 0), n_steps=self.capacity_steps)
            return Capacity(self.beta, schedule, CAPACITY_PENALTIES[self.capacity_mode])
        return BetaKL(self._rising(self.beta))

    def _rising(self, weight: float) -> Schedule:
        if not self.has_warmup:
            return Constant(weight)
        return RISES[self.kl_schedule](0.0, weight, n_steps=self.kl_warmup_steps)

    def settle(self, objective: Objective, *, steps_per_epoch: int, n_epochs: int) -> None:
        """Fix the lengths of the schedules for a run, and warn about what will not finish in it."""
        run = _Run(first=objective.step, n_steps=steps_per_epoch * n_epochs, n_epochs=n_epochs)
        warmup = self.kl_warmup_steps
        if self.kl_warmup_epochs is not None:
            warmup = steps_per_epoch * self.kl_warmup_epochs
        rising = [term for term in objective.terms if term.schedule.n_steps != 0 and term.name != "capacity"]
        if objective.step == 0 and rising:  # a second run goes on with the lengths of the first
            length = _within(run, run.rising if warmup is None else warmup)
            for term in rising:
                objective.settle(term.name, length)
        if self.has_capacity:
            self._settle_capacity(objective, run)

    def _settle_capacity(self, objective: Objective, run: _Run) -> None:
        term = next(term for term in objective.terms if term.name == "capacity")
        n_steps = term.schedule.n_steps or run.rising
        objective.settle("capacity", n_steps)
        if n_steps > run.end:
            reached = Linear(self.capacity_start, float(self.capacity or 0), n_steps=n_steps)(run.end)
            warnings.warn(
                f"The capacity rises over {n_steps} steps and {run}: it gets to {reached:.3g} of "
                f"{self.capacity:.3g} nats. Train longer or lower capacity_steps.",
                stacklevel=5,
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
