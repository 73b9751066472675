"""Selecting the strength of the group lasso on held-out cells."""

import anndata
import numpy as np
import pytest
import torch
from scipy import stats

import distaff as ds
from distaff.model import AnnotatedVAE, _lambda_group
from distaff.model._held_out import largest_lambda_group, negative_elbo
from distaff.model._lambda_group import Fit, _table

FAST = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
SHORT = {"max_epochs": 3, "max_epochs_per_value": 1, **FAST}
# fits as short as these tell little: any value may be selected
ANY_VALUE = pytest.mark.filterwarnings("ignore:The largest lambda_group")
SETS = [*(f"true {i}" for i in range(3)), *(f"decoy {i}" for i in range(3))]


def simulate(n_cells=400):
    """Three programs of 15 genes each, three sets of genes that vary by chance alone, 30 further genes."""
    rng = np.random.default_rng(0)
    names = [f"gene{i}" for i in range(120)]
    eta = np.tile(rng.normal(1.0, 0.5, 120), (n_cells, 1))
    eta[:, :45] += 0.8 * np.repeat(rng.normal(size=(n_cells, 3)), 15, axis=1)
    counts = rng.poisson(rng.gamma(5.0, np.exp(eta) / 5.0)).astype(np.float32)
    adata = anndata.AnnData(counts)
    adata.var_names = names
    adata.obs["batch"] = [f"b{i % 2}" for i in range(n_cells)]
    ds.pp.gene_sets(adata, {name: names[15 * i : 15 * i + 15] for i, name in enumerate(SETS)})
    AnnotatedVAE.setup_anndata(adata, batch_key="batch")
    return adata


@pytest.fixture(scope="module")
def adata():
    return simulate()


@pytest.fixture(scope="module")
def small():
    return simulate(60)


@pytest.fixture(scope="module")
def selected(adata):
    model = AnnotatedVAE(adata, kl_warmup_epochs=10)
    options = {"max_epochs": 40, "max_epochs_per_value": 25, "lr": 0.02, "train_size": 0.8, **FAST, "seed": 1}
    return model, model.select_lambda_group([0.0, 30.0, 0.4], **options)


def test_sets_without_meaning_are_switched_off(selected):
    model, table = selected
    assert table.index.to_list() == [0.0, 0.4, 30.0]
    assert table["active_terms"].to_list() == [6, 3, 0]
    assert table["selected"].to_list() == [False, True, False]
    assert model.active_terms == SETS[:3]
    off = model.get_loadings()[SETS[3:]].to_numpy()
    assert (off == 0).all()
    assert table["zeros_off_mask"].between(0.95, 1).all()
    # the fit at the largest value is worse beyond doubt, and shrinks what it keeps
    assert table["difference"].iloc[2] > 5 * table["difference_error"].iloc[2]
    assert table["negative_elbo"].iloc[1] > table["refitted"].iloc[1]


def test_the_model_is_left_at_the_selected_value(selected, adata, tmp_path):
    model, table = selected
    assert model.module.decoder.group.tolist() == pytest.approx([0.4] * 6)
    assert not model.module.training
    # the first fit and this value's; not those of other values, nor refits
    assert model.history["train_loss"].index.to_list() == list(range(65))
    cells = model.validation_indices
    elbo = negative_elbo(model, cells, batch_size=128, seed=1).mean()
    assert elbo == pytest.approx(table.loc[0.4, "negative_elbo"], rel=1e-9)
    model.save(tmp_path / "model")
    loaded = AnnotatedVAE.load(tmp_path / "model", adata=adata)
    assert loaded.lambda_group_path_.equals(table)
    assert loaded.module.decoder.group.tolist() == model.module.decoder.group.tolist()
    assert loaded.get_loadings().equals(model.get_loadings())
    copy = ds.tl.latent(adata, loaded, copy=True)
    assert copy.uns["distaff"]["params"]["lambda_group"] == 0.4
    assert "lambda_group=0.4" in loaded._model_summary_string


@ANY_VALUE
def test_a_row_depends_on_the_seed_and_its_value_alone(small):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    a = AnnotatedVAE(small).select_lambda_group([0.0, 1.0, 50.0], **SHORT)
    assert torch.equal(torch.random.get_rng_state(), state)
    b = AnnotatedVAE(small).select_lambda_group([1.0, 0.0], **SHORT)
    columns = ["negative_elbo", "refitted", "standard_error", "active_terms", "zeros_off_mask"]
    assert a.loc[[0.0, 1.0], columns].equals(b[columns])


@ANY_VALUE
def test_values_of_the_data(small):
    model = AnnotatedVAE(small)
    table = model.select_lambda_group(**{**SHORT, "max_epochs": 10, "max_epochs_per_value": 10, "lr": 0.05})
    values = table.index.to_numpy()
    assert values[0] == 0.0
    np.testing.assert_allclose(values[2:] / values[1:-1], 10**0.5)
    assert len(values) == 8
    assert table["active_terms"].iloc[-1] == 0
    assert table["active_terms"].iloc[0] == 6


def test_the_largest_value_is_where_no_term_leaves_zero(small):
    model = AnnotatedVAE(small, likelihood="poisson", lambda_off_mask=0.05)
    model.train(3, **FAST)
    loadings = model.get_loadings()
    top = largest_lambda_group(model, np.arange(40), batch_size=16)
    assert model.get_loadings().equals(loadings)
    # of a Poisson with softmax rates the gradient of each logit is rate - count
    with torch.no_grad():
        model.module.decoder.weights.raw.zero_()
    rate = model.get_likelihood_parameters(indices=range(40))["mean"]
    Z = model.get_latent_representation(indices=range(40))
    gradient = (rate - small.X[:40]).T @ Z / 40
    outside = small.varm["gene_sets"].to_numpy() == 0
    shrunk = np.sign(gradient) * np.maximum(np.abs(gradient) - 0.05 * outside, 0)
    assert top == pytest.approx(np.linalg.norm(shrunk, axis=0).max(), rel=1e-4)


def test_the_criterion_of_a_deterministic_latent_is_its_reconstruction_error(small):
    model = AnnotatedVAE(small, latent="deterministic", likelihood="poisson")
    model.train(2, **FAST)
    mean = model.get_likelihood_parameters(indices=[5, 3])["mean"]
    expected = -stats.poisson.logpmf(small.X[[5, 3]], mean).sum(axis=1)
    np.testing.assert_allclose(
        negative_elbo(model, np.array([5, 3]), batch_size=16, seed=0), expected, rtol=1e-5
    )


def test_the_criterion_knows_neither_penalties_nor_weights_of_the_kl(small):
    model = AnnotatedVAE(small, beta=5.0, kl_warmup_epochs=0)
    model.train(2, **FAST)
    cells = np.arange(30)
    elbo = negative_elbo(model, cells, batch_size=16, seed=1)
    model._set_lambda_group(100.0)
    assert np.array_equal(negative_elbo(model, cells, batch_size=16, seed=1), elbo)
    draws = [-float(model.get_elbo(indices=cells, batch_size=16, seed=10 + i)) for i in range(10)]
    assert elbo.mean() == pytest.approx(np.mean(draws), rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"latent": "deterministic"},
        {"mask": "hard", "lambda_off_mask": 0.0},
        {"n_sparse": 1, "n_dense": 2, "encode_covariates": True},
        {"prox": "paper"},
    ],
    ids=str,
)
@ANY_VALUE
def test_every_kind_of_model(small, options):
    model = AnnotatedVAE(small, init=None, **options)  # loadings that start small are soon switched off
    table = model.select_lambda_group([0.0, 500.0], **{**SHORT, "max_epochs_per_value": 10})
    assert table["active_terms"].to_list() == [6, 0]
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    others = options.get("n_sparse", 0) + options.get("n_dense", 0)
    assert model.module.decoder.group[6:].tolist() == [0.0] * others
    assert set(model.active_terms) >= {f"Dense {i + 1}" for i in range(options.get("n_dense", 0))}


@pytest.mark.parametrize("problem", [RuntimeError("full disk"), KeyboardInterrupt()], ids=repr)
def test_a_failure_leaves_the_model_as_it_was(small, monkeypatch, problem):
    model = AnnotatedVAE(small)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise problem
        return negative_elbo(*args, **kwargs)

    monkeypatch.setattr(_lambda_group, "negative_elbo", fail)
    with pytest.raises(type(problem)):
        model.select_lambda_group([0.0, 1.0], **SHORT)
    assert not model.is_trained_
    assert model.history is None
    assert model.lambda_group_path_ is None
    assert model.init_params_["non_kwargs"]["lambda_group"] == 0.1
    assert model.module.decoder.group.tolist() == pytest.approx([0.1] * 6)
    after = model.module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert "trainer" not in vars(model)
    model.train(1, **FAST)


def fit(strength, refitted):
    return Fit(strength, {}, {}, np.zeros(4), np.array(refitted), 1, 1.0)


def test_the_largest_value_within_one_paired_standard_error():
    base = np.array([100.0, 200.0, 300.0, 400.0])
    noise = np.array([1.0, -1.0, 1.0, -1.0])
    fits = [fit(0.0, base + 0.1), fit(1.0, base), fit(2.0, base + 0.5 + noise), fit(3.0, base + 0.7 + noise)]
    table = _table(fits)
    # the standard deviation of the difference is 2 / sqrt(3), its error 1 / sqrt(3) = 0.577
    np.testing.assert_allclose(table["difference"], [0.1, 0.0, 0.5, 0.7])
    np.testing.assert_allclose(table["difference_error"], [0, 0, 3**-0.5, 3**-0.5], atol=1e-12)
    np.testing.assert_allclose(table["standard_error"].iloc[1], base.std(ddof=1) / 2)
    assert table["selected"].to_list() == [False, False, True, False]


def test_the_largest_value_is_reported():
    with pytest.warns(UserWarning, match="The largest lambda_group, 2, is selected"):
        _table([fit(1.0, [1.0, 2.0]), fit(2.0, [1.0, 2.0])])


@pytest.mark.parametrize(
    ("lambdas", "options", "message"),
    [
        ([1.0], {}, "lambdas must hold two different values or more"),
        ([1.0, 1.0], {}, "lambdas must hold two different values or more"),
        ([0.0, -1.0], {}, "Each of lambdas must be >= 0, got -1.0"),
        ([0.0, np.nan], {}, "Each of lambdas must be finite"),
        ([0.0, 1.0], {"train_size": 1.0}, "At least two cells must be held out, got 0. Lower train_size"),
        ([0.0, 1.0], {"max_epochs_per_value": 0}, "max_epochs_per_value must be >= 1"),
    ],
)
def test_bad_input(small, lambdas, options, message):
    with pytest.raises(ValueError, match=message):
        AnnotatedVAE(small).select_lambda_group(lambdas, **{**SHORT, **options})


def test_values_that_are_none(small):
    for lambdas in ("0.1", 0.5, [0.1, "1"]):
        with pytest.raises(TypeError, match="lambdas must be a"):
            AnnotatedVAE(small).select_lambda_group(lambdas, **SHORT)


def test_the_paper_has_no_values_of_the_data(small):
    with pytest.raises(ValueError, match="lambdas must be given with prox='paper'"):
        AnnotatedVAE(small, prox="paper").select_lambda_group(**SHORT)


def test_a_trained_model(small):
    model = AnnotatedVAE(small)
    model.train(1, **FAST)
    with pytest.raises(ValueError, match="needs a model that was never trained.*Build a new model"):
        model.select_lambda_group([0.0, 1.0], **SHORT)
