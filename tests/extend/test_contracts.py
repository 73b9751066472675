"""The checks for parts of the user's own: all of ours pass, and each kind of broken part is caught."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Laplace, Normal

from distaff.extend import check_decoder, check_prior, check_term
from distaff.nn.additive_decoder import AdditiveDecoder
from distaff.nn.decoders import AbstractDecoder, MLPDecoder
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.priors import AbstractPrior, StandardNormalPrior, VampPrior
from distaff.nn.readouts import Readout
from distaff.objectives import (
    DIP1,
    DIP2,
    HSIC,
    AbstractTerm,
    BetaKL,
    Capacity,
    LatentNorm,
    TotalCorrelation,
)
from distaff.ops import Schedule, batch_capacity_penalty, cell_capacity_penalty


class Own(AbstractPrior):
    """A Laplace with learned scales; the arguments break it."""

    def __init__(self, n_latent, *, shape=None, sampled=False, silent=False, scale=0.0):
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((n_latent,), scale))
        self.unused = nn.Parameter(torch.ones(2)) if silent else None
        self.sampled, self.shape = sampled, shape

    def forward(self, features, encode):
        noise = torch.rand(1) if self.sampled else 0.0
        location = torch.zeros(self.shape or self.log_scale.shape)
        return Laplace(location + noise, self.log_scale.exp(), validate_args=False)


@pytest.mark.parametrize("build", [StandardNormalPrior, lambda n: VampPrior(4, 7), Own])
def test_priors_of_ours_pass(build):
    check_prior(build)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda n: Normal(0.0, 1.0), "must return an AbstractPrior"),
        (partial(Own, shape=(12, 12, 1)), "log density must be a tensor of the shape"),
        (partial(Own, scale=float("nan")), "log density must be finite"),
        (partial(Own, sampled=True), "Evaluation must give the same twice"),
        (partial(Own, silent=True), "Parameter unused must change the result"),
    ],
)
def test_broken_priors_are_caught(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_prior(broken)


DECODERS = {
    "linear": LinearDecoder,
    "batch norm": partial(LinearDecoder, batch_norm=True),
    "non-negative": partial(LinearDecoder, non_negative=True),
    "additive": AdditiveDecoder,
    "mlp": partial(MLPDecoder, widths=(8,)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_of_ours_pass(name):
    check_decoder(DECODERS[name])


class Square(AbstractDecoder):
    """Factors and their squares; the arguments break it."""

    def __init__(self, n_latent, n_genes, heads, *, spec=None, only="", mixes=False, counts=False):
        super().__init__()
        self.maps = nn.ModuleDict({head: nn.Linear(2 * n_latent, n_genes) for head in heads})
        self.only, self.mixes, self.counts, self.calls = only, mixes, counts, 0

    def readouts(self, z, covariates):
        self.calls += self.counts
        features = torch.cat([z, z.square()], dim=-1) + self.calls
        if self.mixes:  # moments over all leading dimensions: draws see each other
            features = features - features.mean(dim=tuple(range(features.ndim - 1)))
        heads = {head: Readout(features, own.weight, own.bias) for head, own in self.maps.items()}
        return {self.only: heads["scale"]} if self.only else heads


def test_a_decoder_of_the_user_passes():
    check_decoder(Square)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda *_, spec: nn.Linear(1, 1), "must return an AbstractDecoder"),
        (partial(Square, only="mean"), "must have the heads"),
        (partial(Square, mixes=True), "Several draws at once"),
        (partial(Square, counts=True), "Evaluation must give the same twice"),
    ],
)
def test_broken_decoders_are_caught(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_decoder(broken)


TERMS = {
    "kl": BetaKL,
    "capacity": lambda s: Capacity(1.0, s, batch_capacity_penalty),
    "capacity of a cell": lambda s: Capacity(1.0, s, cell_capacity_penalty),
    "norm": LatentNorm,
    "total correlation": TotalCorrelation,
    "dip 1": lambda s: DIP1(s, diagonal_ratio=1.0),
    "dip 2": lambda s: DIP2(s, diagonal_ratio=1.0),
    "hsic": HSIC,
}


@pytest.mark.parametrize("name", TERMS)
def test_terms_of_ours_pass(name):
    check_term(TERMS[name])


@dataclass(frozen=True)
class Term(AbstractTerm):
    """Mean size of the latent, to a power that may be odd."""

    schedule: Schedule
    name: str = "size"
    power: float = 2.0
    per: str = "cell"

    def __call__(self, inputs, value):
        size = value * inputs.z.abs().pow(self.power)
        return {"cell": size.sum(-1), "dimension": size, "nothing": size.sum(-1).detach()}[self.per]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda s: 1.0, "must return an AbstractTerm"),
        (lambda s: Term(Schedule, "size"), "keep its schedule"),
        (partial(Term, per="dimension"), "must be a tensor of the shape"),
        (partial(Term, per="nothing"), "depend on the latent"),
        (partial(Term, power=float("nan")), "must be finite"),
    ],
)
def test_broken_terms_are_caught(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_term(broken)
