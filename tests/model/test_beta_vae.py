import numpy as np
import pandas as pd
import pytest
import torch

from distaff.model import BetaVAE

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
KEYS = {
    "batch_key": "batch",
    "labels_key": "label",
    "categorical_covariate_keys": ["donor"],
    "continuous_covariate_keys": ["age"],
}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(80, 12, covariates=True)
    BetaVAE.setup_anndata(adata, **KEYS)
    return adata


@pytest.fixture
def model(adata):
    model = BetaVAE(adata, n_latent=3, n_hidden=8)
    model.train(2, **FAST)
    return model


@pytest.mark.parametrize("use_observed_lib_size", [True, False])
@pytest.mark.parametrize("dispersion", ["gene", "gene-batch", "gene-label", "gene-cell"])
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_every_choice_trains_saves_and_loads(adata, tmp_path, likelihood, dispersion, use_observed_lib_size):
    model = BetaVAE(
        adata,
        n_latent=3,
        n_hidden=8,
        likelihood=likelihood,
        dispersion=dispersion,
        use_observed_lib_size=use_observed_lib_size,
        encode_covariates=True,
    )
    model.train(2, **FAST)
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata)
    assert np.array_equal(model.get_latent_representation(), loaded.get_latent_representation())
    assert model.get_elbo() == loaded.get_elbo()
    assert np.isfinite(float(model.get_elbo()))


def test_methods_of_scvi_tools(model, adata):
    assert model.get_latent_representation().dtype == np.float32
    mean, variance = model.get_latent_representation(return_dist=True)
    assert mean.shape == variance.shape == (80, 3)
    assert (variance > 0).all()
    assert model.get_latent_representation(indices=[3, 1]).shape == (2, 3)
    expression = model.get_normalized_expression(n_samples=2, gene_list=["gene1", "gene5"])
    assert isinstance(expression, pd.DataFrame)
    assert list(expression) == ["gene1", "gene5"]
    assert np.allclose(model.get_normalized_expression().sum(axis=1), 1, atol=1e-5)
    assert model.get_normalized_expression(transform_batch="b1").shape == (80, 12)
    assert model.get_reconstruction_error()["reconstruction_loss"] > 0
    assert model.get_marginal_ll(n_mc_samples=20) >= model.get_elbo() - 2
    assert model.posterior_predictive_sample(n_samples=3).shape == (80, 12, 3)
    result = model.differential_expression(groupby="label", silent=True)
    assert {"comparison", "bayes_factor"} <= set(result)
    assert model.get_feature_correlation_matrix(n_samples=2).shape == (12, 12)


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_likelihood_parameters(adata, likelihood):
    model = BetaVAE(adata, n_latent=3, n_hidden=8, likelihood=likelihood)
    model.train(1, **FAST)
    parameters = model.get_likelihood_parameters(indices=[0, 1, 2])
    expected = {"nb": {"mean", "dispersions"}, "zinb": {"mean", "dispersions", "dropout"}}
    expected |= {"poisson": {"mean"}, "normal": {"mean", "dispersions"}}
    assert set(parameters) == expected[likelihood]
    assert all(value.shape == (3, 12) and np.isfinite(value).all() for value in parameters.values())
    again = model.get_likelihood_parameters(indices=[0, 1, 2])
    assert all(np.array_equal(parameters[name], again[name]) for name in parameters)


def test_learned_library_size(adata):
    model = BetaVAE(adata, n_latent=3, n_hidden=8, use_observed_lib_size=False)
    model.train(2, **FAST)
    assert model.get_latent_library_size().shape == (80, 1)


def test_identical_library_sizes_stay_finite(make_adata):
    adata = make_adata(60, 10)
    X = np.ones((60, 10), dtype=np.float32)
    X[np.arange(60), np.arange(60) % 10] += 1
    adata.X = X
    BetaVAE.setup_anndata(adata)
    model = BetaVAE(adata, n_latent=2, n_hidden=8, use_observed_lib_size=False)
    model.train(3, **FAST)
    assert abs(model.get_elbo()) < 1e6


@pytest.mark.filterwarnings("ignore:Category 0 .* has fewer than 3 cells")
def test_a_batch_of_one_cell(make_adata):
    adata = make_adata(60, 10, covariates=True)
    adata.obs["batch"] = ["alone"] + ["rest"] * 59
    BetaVAE.setup_anndata(adata, batch_key="batch")
    for observed in (True, False):
        model = BetaVAE(adata, n_latent=2, n_hidden=8, use_observed_lib_size=observed)
        model.train(2, **FAST)
        assert np.isfinite(float(model.get_elbo()))


def test_draws_take_a_seed(model):
    one, again, other = (model.get_latent_representation(give_mean=False, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert model.get_elbo(seed=1) == model.get_elbo(seed=1) != model.get_elbo(seed=2)


def test_loading_without_data(model, adata, tmp_path):
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata=False)
    assert np.array_equal(loaded.get_latent_representation(adata), model.get_latent_representation())


def test_saving_with_data(model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    loaded = BetaVAE.load(tmp_path / "model")
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    assert list(loaded.history["train_loss"].index) == [0, 1]


@pytest.mark.filterwarnings("ignore:`var_names` for the loaded `model` does not match")
def test_genes_in_another_order_are_refused(model, adata, tmp_path):
    shuffled = adata[:, ::-1].copy()
    with pytest.raises(
        ValueError, match=r"genes of the model in its order.*Use adata\[:, model.get_var_names\(\)\]"
    ):
        model.get_latent_representation(shuffled)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="genes of the model in its order"):
        BetaVAE.load(tmp_path / "model", shuffled)
    ordered = shuffled[:, model.get_var_names()].copy()
    assert np.array_equal(model.get_latent_representation(ordered), model.get_latent_representation())


def test_missing_genes_are_named(model, adata):
    with pytest.raises(
        ValueError, match=r"must have the 12 genes of the model, got 10 genes, 2 .* missing: 'gene0', 'gene1'"
    ):
        model.get_latent_representation(adata[:, 2:].copy())


def test_other_data_are_checked_like_the_first(model, make_adata):
    other = make_adata(20, 12, covariates=True, seed=1)
    assert model.get_latent_representation(other).shape == (20, 3)
    bad = make_adata(20, 12, covariates=True, seed=1)
    bad.X = bad.X.log1p()
    with pytest.raises(ValueError, match="must hold counts"):
        model.get_latent_representation(bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_latent": 0}, "n_latent must be >= 1, got 0"),
        ({"n_hidden": 0}, "n_hidden must be >= 1, got 0"),
        ({"n_layers": 0}, "n_layers must be >= 1, got 0"),
        ({"dropout_rate": 1.0}, "dropout_rate must be < 1, got 1.0"),
        (
            {"likelihood": "gaussian"},
            "likelihood must be one of 'nb', 'zinb', 'poisson', 'normal', got 'gaussian'",
        ),
        ({"dispersion": "cell"}, "dispersion must be one of 'gene', 'gene-batch', .* got 'cell'"),
        ({"beta": -1.0}, "beta must be >= 0, got -1.0"),
        ({"beta": float("nan")}, "beta must be finite, got nan"),
        ({"capacity": -1.0}, "capacity must be >= 0, got -1.0"),
        ({"capacity_steps": 0}, "capacity_steps must be >= 1, got 0"),
        ({"capacity_mode": "sample"}, "capacity_mode must be one of 'batch', 'cell', got 'sample'"),
        ({"kl_warmup_epochs": 1, "kl_warmup_steps": 1}, "Only one of kl_warmup_epochs and kl_warmup_steps"),
        (
            {"kl_warmup_epochs": 1, "capacity": 5.0},
            "must be None with a capacity, got 1. The rising capacity",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once(adata, options, message):
    with pytest.raises(ValueError, match=message):
        BetaVAE(adata, **options)


@pytest.mark.parametrize(("dispersion", "key"), [("gene-batch", "batch_key"), ("gene-label", "labels_key")])
def test_a_group_dispersion_needs_groups(make_adata, dispersion, key):
    adata = make_adata()
    BetaVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match=f"must have two groups or more, got one. Pass {key}"):
        BetaVAE(adata, dispersion=dispersion)


def test_an_unknown_argument_is_refused(adata):
    with pytest.raises(TypeError, match="latent_dim"):
        BetaVAE(adata, latent_dim=3)


def test_an_untrained_model_gives_no_latent(adata):
    with pytest.raises(RuntimeError, match="train"):
        BetaVAE(adata).get_latent_representation()


def test_repr_tells_the_choice(model):
    assert "beta=10.0" in model._model_summary_string
    assert "BetaVAE" in model._model_summary_string


def test_nothing_unused_is_built(adata):
    model = BetaVAE(adata, likelihood="nb")
    heads = {name for name, _ in model.module.decoder.heads.named_children()}
    assert heads == {"scale"}
    assert not list(model.module.library.parameters())
    assert isinstance(model.module.encoder.transform, torch.nn.Module)
