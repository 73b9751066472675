"""Latent arguments: from the name of a prior to posterior and prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distaff._checks import check_choice, check_flag, check_int, check_number, error
from distaff.nn.gates import AbstractGate, ConcreteGate, ShiftedSigmoidGate
from distaff.nn.links import (
    AbstractLink,
    Exponential,
    ExponentialQuantile,
    Identity,
    Simplex,
    Softplus,
)
from distaff.nn.posteriors import (
    AbstractPosterior,
    NonNegativePosterior,
    NormalPosterior,
    PointPosterior,
    SpikeSlabPosterior,
)
from distaff.nn.priors import (
    AbstractPrior,
    FlatPrior,
    PseudoInputPrior,
    SpikeSlabPrior,
    StandardNormalPrior,
    VampPrior,
)
from distaff.nn.scheduled import Scheduled
from distaff.ops import Linear

__all__ = ["LINKS", "OWN_PRIORS", "SLAB_PRIORS", "LatentConfig", "OwnPrior"]

LINKS: dict[str, type[AbstractLink]] = {
    "normal": Identity,
    "logistic_normal": Simplex,
    "spike_slab": Identity,
    "vamp": Identity,
    "softplus_normal": Softplus,
    "lognormal": Exponential,
    "exponential": ExponentialQuantile,
    "deterministic": Identity,
}
NON_NEGATIVE = ("softplus_normal", "lognormal", "exponential")
SLAB_PRIORS = ("fixed", "pseudo_input")
RELAXATIONS = ("concrete", "vsc")
DEFAULT_ALPHA = 0.5
N_PSEUDO_INPUTS = 10  # as in both examples of the spike-and-slab paper
# temperature of the binary concrete and steepness of the paper's relaxation, over half of the first run
CONCRETE_TEMPERATURE = (0.67, 0.1)
VSC_STEEPNESS = (10.0, 50.0)


@dataclass(frozen=True)
class OwnPrior:
    """How a prior of the user is made of the number of dimensions, and what becomes of its variable."""

    build: Callable[[int], AbstractPrior]
    link: type[AbstractLink]


OWN_PRIORS: dict[str, OwnPrior] = {}  # see distaff.extend.register


@dataclass(frozen=True)
class LatentConfig:
    """Latent arguments of a model; see :class:`~distaff.model.FactorVAE`."""

    prior: str
    n_latent: int
    gate: bool = False
    alpha: float | None = None
    target_active: float | None = None
    slab_prior: str = "fixed"
    relaxation: str = "concrete"
    slab_warmup: bool = False
    n_added: tuple[int, ...] = ()  # dimensions among n_latent that each query added; AnnotatedVAE only

    def __post_init__(self) -> None:
        check_choice("prior", self.prior, (*LINKS, *OWN_PRIORS))
        check_int("n_latent", self.n_latent, minimum=1)
        check_choice("slab_prior", self.slab_prior, SLAB_PRIORS)
        check_choice("relaxation", self.relaxation, RELAXATIONS)
        check_flag("gate", self.gate)
        check_flag("slab_warmup", self.slab_warmup)
        if self.prior == "logistic_normal" and self.n_latent < 2:
            raise error("n_latent must be >= 2 for a logistic-normal latent", got=self.n_latent)
        if self.gate and self.prior not in NON_NEGATIVE:
            raise error(
                f"gate must be False with prior={self.prior!r}",
                got=True,
                fix=f"A gate goes with {', '.join(NON_NEGATIVE)}; prior='spike_slab' has one of its own.",
            )
        self._check_sparsity()

    def _check_sparsity(self) -> None:
        if self.alpha is not None:
            check_number("alpha", self.alpha, above=0, below=1)
        if self.target_active is not None:
            check_number("target_active", self.target_active, above=0, below=self.n_latent)
        if self.alpha is not None and self.target_active is not None:
            raise error("Only one of alpha and target_active may be given", got="both")
        if not self.has_gate and (self.alpha is not None or self.target_active is not None):
            raise error(
                "alpha and target_active must be None without a gate",
                got=f"prior={self.prior!r}",
                fix="Use prior='spike_slab', or a non-negative prior with gate=True.",
            )

    @property
    def has_gate(self) -> bool:
        """Whether dimensions are switched on and off by cell."""
        return self.gate or self.prior == "spike_slab"

    @property
    def needs_positive_start(self) -> bool:
        """Whether scores of either sign are out of reach."""
        return self.prior in (*NON_NEGATIVE, "logistic_normal")

    @property
    def inclusion(self) -> float:
        """Prior probability that a dimension is on."""
        if self.target_active is not None:
            return self.target_active / self.n_latent
        return DEFAULT_ALPHA if self.alpha is None else self.alpha

    def posterior(self, n_features: int) -> AbstractPosterior:
        """Posterior on features of the encoder."""
        if self.prior == "deterministic":
            return PointPosterior(n_features, self.n_latent, n_added=self.n_added)
        link = OWN_PRIORS[self.prior].link() if self.prior in OWN_PRIORS else LINKS[self.prior]()
        if self.prior in NON_NEGATIVE and not self.has_gate:
            return NonNegativePosterior(n_features, self.n_latent, link)
        if not self.has_gate:
            return NormalPosterior(n_features, self.n_latent, link, n_added=self.n_added)
        slab_weight = Scheduled(Linear(0.0 if self.slab_warmup else 1.0, 1.0))
        return SpikeSlabPosterior(n_features, self.n_latent, link, self._gate(), slab_weight)

    def _gate(self) -> AbstractGate:
        if self.relaxation == "concrete":
            return ConcreteGate(Scheduled(Linear(*CONCRETE_TEMPERATURE)))
        return ShiftedSigmoidGate(Scheduled(Linear(*VSC_STEEPNESS)))

    def prior_part(self, n_genes: int, n_features: int) -> AbstractPrior:
        """Prior of the same variable."""
        if self.prior in OWN_PRIORS:
            return OWN_PRIORS[self.prior].build(self.n_latent)
        if self.prior == "deterministic":
            return FlatPrior()
        if self.prior == "vamp":
            return VampPrior(N_PSEUDO_INPUTS, n_genes)
        if not self.has_gate:
            return StandardNormalPrior(self.n_latent)
        if self.slab_prior == "fixed":
            return SpikeSlabPrior(self.n_latent, self.inclusion)
        return PseudoInputPrior(N_PSEUDO_INPUTS, n_genes, n_features, self.inclusion)
