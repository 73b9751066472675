"""Every prior works with every decoder and every likelihood: trains, saves, loads and writes the same slots."""

import itertools

import numpy as np
import pytest

import distaff as ds
from distaff.model import FactorVAE

PRIORS = (
    "normal",
    "logistic_normal",
    "spike_slab",
    "vamp",
    "softplus_normal",
    "lognormal",
    "exponential",
    "deterministic",
)
DECODERS = ("mlp", "linear", "additive", "annotated")
LIKELIHOODS = ("nb", "zinb", "poisson", "normal")
FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
SETS = {"one": [f"gene{i}" for i in range(6)], "two": [f"gene{i}" for i in range(4, 10)]}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(64, 16, covariates=True)
    ds.pp.gene_sets(adata, SETS, min_genes=2)
    FactorVAE.setup_anndata(
        adata, batch_key="batch", categorical_covariate_keys=["donor"], continuous_covariate_keys=["age"]
    )
    return adata


def annotated(decoder):
    return (
        {"n_sparse": 1, "n_dense": 1, "lambda_off_mask": 0.5, "lambda_group": 0.1}
        if decoder == "annotated"
        else {}
    )


def check(adata, model, cls, tmp_path):
    model.train(8, lr=1e-2, **FAST)
    loss = model.history["train_loss"].iloc[:, 0]
    assert np.isfinite(loss).all()
    fit = model.history["reconstruction_loss_train"].iloc[:, 0]  # penalties rise with their warm-up
    assert fit.iloc[1:].min() < fit.iloc[0]
    Z = model.get_latent_representation()
    assert Z.shape == (64, len(model.factor_names))
    assert np.isfinite(Z).all()
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", adata)
    assert np.array_equal(Z, loaded.get_latent_representation())
    assert float(model.get_elbo()) == float(loaded.get_elbo())
    ds.tl.latent(adata, model)
    assert np.array_equal(adata.obsm["X_distaff"], Z)
    assert ("distaff_inclusion" in adata.obsm) == model.has_gate
    if hasattr(model.module.decoder, "loadings"):
        ds.tl.loadings(adata, model)
        assert list(adata.varm["distaff_loadings"]) == model.factor_names
        assert loaded.get_loadings().equals(model.get_loadings())


@pytest.mark.parametrize(
    ("prior", "decoder", "likelihood"), list(itertools.product(PRIORS, DECODERS, LIKELIHOODS))
)
def test_every_combination(adata, tmp_path, prior, decoder, likelihood):
    model = FactorVAE(
        adata,
        n_latent=4,
        n_hidden=8,
        prior=prior,
        decoder=decoder,
        likelihood=likelihood,
        **annotated(decoder),
    )
    check(adata, model, FactorVAE, tmp_path)


@pytest.mark.parametrize("prior", ["softplus_normal", "lognormal", "exponential"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_gates_on_non_negative_priors(adata, tmp_path, prior, decoder):
    model = FactorVAE(
        adata,
        n_latent=4,
        n_hidden=8,
        prior=prior,
        gate=True,
        alpha=0.3,
        decoder=decoder,
        **annotated(decoder),
    )
    check(adata, model, FactorVAE, tmp_path)
    gamma = model.get_inclusion_probability()
    assert ((gamma >= 0) & (gamma <= 1)).all()
    assert (model.get_latent_representation() >= 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"prior": "spike_slab", "slab_prior": "pseudo_input", "target_active": 1.5},
        {"prior": "spike_slab", "relaxation": "vsc", "slab_warmup": True},
        {"prior": "vamp", "encode_covariates": True},
        {"decoder": "linear", "batch_norm": True, "init": "nmf"},
        {"decoder": "linear", "prior": "logistic_normal", "init": "nmf_kl"},
        {"decoder": "linear", "init": "ica"},
        {"decoder": "linear", "init": "pca"},
        {"decoder": "linear", "prior": "lognormal", "non_negative": True, "rate": "additive", "init": "nmf"},
        {"decoder": "annotated", "init": "nmf", "lambda_off_mask": 0.1},
        {"decoder": "annotated", "prox": "paper", "lambda_off_mask": 0.1, "lambda_group": 0.1},
        {"decoder": "annotated", "mask": "hard", "non_negative": True, "prior": "exponential"},
        {"total_correlation": 2.0, "kl_schedule": "cosine"},
        {"dip": (10.0, 1.0), "dip_form": "I", "kl_schedule": "sigmoid"},
        {"dip": (1.0, 1.0), "prior": "spike_slab"},
        {"hsic": 100.0, "prior": "logistic_normal", "kl_schedule": "cyclical"},
        {"capacity": 3.0, "capacity_mode": "cell", "prior": "spike_slab"},
    ],
    ids=str,
)
def test_further_choices(adata, tmp_path, options):
    check(adata, FactorVAE(adata, **{"n_latent": 4, "n_hidden": 8, **options}), FactorVAE, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "gaussian"}, "prior must be one of 'normal', 'logistic_normal'"),
        ({"decoder": "deep"}, "decoder must be one of 'mlp', 'linear', 'additive', 'annotated', got 'deep'"),
        (
            {"prior": "logistic_normal", "n_latent": 1},
            "n_latent must be >= 2 for a logistic-normal latent, got 1",
        ),
        ({"gate": True}, "gate must be False with prior='normal'"),
        ({"alpha": 0.5}, "alpha and target_active must be None without a gate"),
        ({"prior": "spike_slab", "alpha": 1.0}, "alpha must be < 1, got 1.0"),
        ({"prior": "spike_slab", "alpha": 0.5, "target_active": 1.0}, "Only one of alpha and target_active"),
        ({"prior": "spike_slab", "target_active": 10.0}, "target_active must be < 10"),
        ({"non_negative": True}, "They go with decoder='linear' or 'annotated'"),
        ({"decoder": "linear", "rate": "additive"}, "rate='additive' must have non_negative=True"),
        ({"decoder": "annotated", "prox": "exact"}, "prox must be one of 'metric', 'paper', got 'exact'"),
        ({"decoder": "annotated", "non_negative": True}, "must have mask='hard' and no penalty"),
        ({"init": "nmf"}, "A start needs decoder='linear' or 'annotated'"),
        (
            {"init": "svd", "decoder": "linear"},
            "init must be one of 'nmf', 'nmf_kl', 'ica', 'pca', got 'svd'",
        ),
        ({"init": "pca", "decoder": "linear", "prior": "lognormal"}, "init must be non-negative"),
        (
            {"total_correlation": 1.0, "prior": "spike_slab"},
            "total_correlation must be 0 for a latent without",
        ),
        ({"dip": 3.0}, "dip must be a pair of weights"),
        ({"encoder": "transformer"}, "encoder must be one of 'mlp'"),
    ],
    ids=str,
)
def test_choices_that_do_not_go_together(adata, options, message):
    with pytest.raises(ValueError, match=message):
        FactorVAE(adata, **options)


def test_loadings_need_a_linear_decoder(adata):
    with pytest.raises(
        TypeError, match="Loadings must come from a linear or annotated decoder, got decoder='mlp'"
    ):
        FactorVAE(adata).get_loadings()


def test_inclusion_needs_a_gate(adata):
    with pytest.raises(TypeError, match="must come from a latent with a gate, got prior='normal'"):
        FactorVAE(adata).get_inclusion_probability()


def test_a_width_for_each_layer(make_adata):
    adata = make_adata()
    ds.model.FactorVAE.setup_anndata(adata)
    model = ds.model.FactorVAE(adata, n_latent=3, n_hidden=(9, 5))
    shapes = {tuple(weight.shape) for weight in model.module.parameters() if weight.ndim == 2}
    assert {(9, adata.n_vars), (5, 9), (5, 3), (9, 5)} <= shapes  # the encoder's, then the decoder's
    for n_hidden, n_layers in (((9, 5), 3), ((), 1), ((9, 0), 1), ("95", 1)):
        with pytest.raises((ValueError, TypeError), match="n_hidden must be"):
            ds.model.FactorVAE(adata, n_hidden=n_hidden, n_layers=n_layers)
