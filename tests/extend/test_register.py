"""Parts of the user's own, by name, in FactorVAE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import StudentT

from distaff.extend import register_decoder, register_prior, register_term
from distaff.model import FactorVAE
from distaff.model._decoder import OWN_DECODERS
from distaff.model._latent import OWN_PRIORS
from distaff.model._objective import OWN_TERMS
from distaff.nn import Softplus, StandardNormalPrior
from distaff.nn.decoders import AbstractDecoder, MLPDecoder
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.priors import AbstractPrior
from distaff.objectives import AbstractTerm
from distaff.ops import Schedule


class HeavyTails(AbstractPrior):
    def __init__(self, n_latent):
        super().__init__()
        self.log_df = nn.Parameter(torch.zeros(n_latent))

    def forward(self, features, encode):
        return StudentT(2 + self.log_df.exp())


class Twofold(AbstractDecoder):
    """A linear decoder of the doubled latent."""

    def __init__(self, n_latent, n_genes, heads, *, spec=None):
        super().__init__()
        self.linear = LinearDecoder(n_latent, n_genes, heads, spec=spec)

    def readouts(self, z, covariates):
        return self.linear.readouts(2 * z, covariates)


@dataclass(frozen=True)
class Size(AbstractTerm):
    schedule: Schedule
    name: str = "size"

    def __call__(self, inputs, value):
        return value * inputs.z.abs().sum(-1)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    for registry in (OWN_PRIORS, OWN_DECODERS, OWN_TERMS):
        registry.clear()


@pytest.fixture
def adata(make_adata):
    adata = make_adata(80, 30, covariates=True)
    FactorVAE.setup_anndata(adata, batch_key="batch")
    return adata


def trained(adata, **options):
    model = FactorVAE(adata, n_latent=3, n_hidden=8, **options)
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    return model


def test_own_parts_are_trained_saved_and_loaded(adata, tmp_path):
    register_prior("student", HeavyTails)
    register_decoder("twofold", Twofold)
    register_term("size", Size)
    model = trained(adata, prior="student", decoder="twofold", terms={"size": 0.5})
    assert model.module.prior.log_df.abs().min() > 0  # learned
    assert model.history["loss_size_train"].iloc[-1].item() > 0
    model.save(tmp_path / "model")
    loaded = FactorVAE.load(tmp_path / "model", adata=adata)
    assert isinstance(loaded.module.prior, HeavyTails)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    OWN_PRIORS.clear()
    with pytest.raises(ValueError, match="got ValueError: prior must be one of .* must be registered first"):
        FactorVAE.load(tmp_path / "model", adata=adata)


def test_a_part_of_ours_under_another_name_is_the_same_model(adata):
    register_prior("mine", StandardNormalPrior)
    register_decoder("network", lambda *a, spec: MLPDecoder(*a, widths=(8,), spec=spec))
    ours, own = trained(adata), trained(adata, prior="mine", decoder="network")
    assert np.allclose(ours.get_latent_representation(), own.get_latent_representation(), atol=1e-6)


def test_a_link_makes_the_latent_positive(adata):
    register_prior("positive", StandardNormalPrior, link=Softplus)
    assert (trained(adata, prior="positive").get_latent_representation() > 0).all()


def test_the_weight_of_a_term_counts(adata):
    register_term("size", Size)
    sizes = []
    for weight in (0.0, 1e3):
        model = FactorVAE(adata, n_latent=3, n_hidden=8, terms={"size": weight}, kl_warmup_epochs=0)
        model.train(30, lr=1e-2, seed=0, accelerator="cpu", enable_progress_bar=False)
        sizes.append(np.abs(model.get_latent_representation()).mean())
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize(
    ("register", "arguments", "kind", "message"),
    [
        (register_prior, ("normal", StandardNormalPrior), ValueError, "must be a new one, got 'normal'"),
        (register_prior, ("", StandardNormalPrior), ValueError, "must be a new one"),
        (register_prior, (1, StandardNormalPrior), TypeError, "must be a text"),
        (register_prior, ("x", None), TypeError, "must be a function or class"),
        (register_decoder, ("mlp", Twofold), ValueError, "must be a new one"),
        (register_term, ("kl", Size), ValueError, "must be a new one"),
    ],
)
def test_names_and_parts_are_checked(register, arguments, kind, message):
    with pytest.raises(kind, match=message):
        register(*arguments)


def test_a_link_must_be_a_link():
    with pytest.raises(TypeError, match="link must be a class of distaff.nn.links"):
        register_prior("x", StandardNormalPrior, link=torch.nn.Softplus)


@pytest.mark.parametrize(
    ("terms", "kind", "message"),
    [
        ({"none": 1.0}, ValueError, "terms must name registered terms, got 'none'"),
        ({"size": -1.0}, ValueError, "Weight of 'size' must be >= 0"),
        ({"size": "1"}, TypeError, "Weight of 'size' must be a number"),
        (["size"], TypeError, "terms must be a dict"),
        ({"other": 1.0}, ValueError, "registered as 'other' must have this name, got 'size'"),
    ],
)
def test_terms_are_checked(adata, terms, kind, message):
    register_term("size", Size)
    register_term("other", Size)
    with pytest.raises(kind, match=message):
        FactorVAE(adata, terms=terms)
