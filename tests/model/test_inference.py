"""Reading cells gives the same whatever way they come: folded or not, in blocks of any size, in any order."""

import numpy as np
import pytest
import torch

import distaff as ds
from distaff.model import FactorVAE
from distaff.model._inference import stack
from distaff.nn.folded import folded

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
CHOICES = {
    "normal": {},
    "two layers": {"n_layers": 2},
    "covariates": {"encode_covariates": True, "n_layers": 2},
    "learned library": {"use_observed_lib_size": False, "encode_covariates": True},
    "spike and slab": {"prior": "spike_slab", "slab_prior": "pseudo_input"},
    "vamp": {"prior": "vamp"},
    "exponential": {"prior": "exponential", "gate": True},
    "autoencoder": {"prior": "deterministic"},
    "linear": {"decoder": "linear", "batch_norm": True},
    "real values": {"likelihood": "normal"},
    "zinb": {"likelihood": "zinb"},
}


@pytest.fixture
def make_model(make_adata):
    """Return a maker of trained models."""

    def make(**options):
        adata = make_adata(90, 16, covariates=True)
        FactorVAE.setup_anndata(
            adata, batch_key="batch", categorical_covariate_keys=["donor"], continuous_covariate_keys=["age"]
        )
        model = FactorVAE(adata, n_latent=3, n_hidden=8, **options)
        model.train(5, lr=1e-2, **FAST)
        return model

    return make


def unfolded(model, monkeypatch, read):
    """Return what ``read`` gives if nothing is folded."""
    with monkeypatch.context() as patch:
        patch.setattr("distaff.nn.folded._can_fold", lambda encoder: False)
        return read(model)


READERS = {
    "latent": lambda model: model.get_latent_representation(),
    "variance": lambda model: model.get_latent_representation(return_dist=True)[1],
    "KL": lambda model: model.get_kl_per_dimension(),
    "ELBO": lambda model: model.get_elbo(return_mean=False).numpy(),
    "error": lambda model: model.get_reconstruction_error(return_mean=False)["reconstruction_loss"].numpy(),
    "mean": lambda model: model.get_likelihood_parameters()["mean"],
}


@pytest.mark.parametrize("dispersion", ["gene", "gene-batch"])
def test_parameters_do_not_depend_on_blocks(make_model, dispersion):
    model = make_model(likelihood="zinb", dispersion=dispersion)
    for parameter in model.module.likelihood.dispersion.parameters():
        parameter.data.normal_()
    whole, parts = (model.get_likelihood_parameters(batch_size=size) for size in (200, 7))
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-5, err_msg=name)


PLAIN = "weights must be 'uniform' for this model"


@pytest.mark.parametrize(
    "options",
    [
        {"prior": "softplus_normal"},
        {"prior": "logistic_normal"},
        {"prior": "spike_slab"},
        {"prior": "vamp"},
        {"likelihood": "poisson"},
        {"use_observed_lib_size": False},
    ],
)
def test_importance_weights_of_another_model_are_refused(make_model, options):
    model = make_model(**options)
    with pytest.raises(ValueError, match=PLAIN):
        model.get_normalized_expression(n_samples_overall=5, weights="importance")
    with pytest.raises(ValueError, match=PLAIN):
        model.differential_expression(groupby="batch", weights="importance")


def test_importance_weights_of_a_normal_latent(make_model):
    model = make_model()
    found = model.get_normalized_expression(n_samples_overall=5, weights="importance", return_numpy=True)
    assert found.shape == (5, 16)


@pytest.mark.parametrize("name", CHOICES)
def test_folded_is_unfolded(make_model, monkeypatch, name):
    model = make_model(**CHOICES[name])
    for what, read in READERS.items():
        got, expected = read(model), unfolded(model, monkeypatch, read)
        np.testing.assert_allclose(got, expected, rtol=5e-6, atol=5e-6, err_msg=what)


def test_it_is_folded(make_model, monkeypatch):
    model = make_model()
    monkeypatch.setattr("distaff.nn.layers.MLP.forward", None)
    assert np.isfinite(model.get_latent_representation()).all()
    with folded(model.module):
        assert model.module.encoder.folded is not None
    assert model.module.encoder.folded is None


def test_blocks_and_order_do_not_matter(make_model):
    model = make_model(encode_covariates=True)
    Z = model.get_latent_representation()
    np.testing.assert_allclose(model.get_latent_representation(batch_size=7), Z, rtol=1e-6, atol=1e-7)
    order = np.random.default_rng(0).permutation(90)
    np.testing.assert_allclose(model.get_latent_representation(indices=order), Z[order], rtol=1e-6, atol=1e-7)
    assert np.array_equal(model.get_latent_representation(), Z)


def test_training_after_reading_is_training(make_model):
    reader, other = make_model(), make_model()
    reader.get_latent_representation()
    reader.get_elbo()
    for model in (reader, other):
        model.train(2, **FAST)
    for a, b in zip(reader.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_counts_stay_as_they_are(make_model):
    model = make_model()
    before = model.adata.X.copy()
    model.get_latent_representation()
    model.get_reconstruction_error()
    ds.tl.traverse(model.adata, model)
    assert (before != model.adata.X).nnz == 0


def test_blocks_as_one_array():
    rows = torch.arange(30.0).reshape(10, 3)
    assert np.array_equal(stack(rows.split(4)), rows.numpy())
    assert np.array_equal(stack(rows.split([1, 2, 7])), rows.numpy())
    assert np.array_equal(stack([rows]), rows.numpy())
    assert stack([rows]).flags.owndata
    alike = torch.arange(3.0).expand(10, 3)  # rows that are one in memory
    assert np.array_equal(stack(alike.split(4)), alike.numpy())
    with pytest.raises(ValueError, match="There must be at least one cell, got 0"):
        stack([])
