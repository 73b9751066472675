import random

import anndata
import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from sklearn.metrics import roc_auc_score

import distaff as ds
from distaff.model import FSCLVM
from distaff.module import ClosedFormELBO, FSCLVMModule

FAST = {"accelerator": "cpu", "enable_progress_bar": False}
N_SETS, N_ACTIVE = 8, 3


def simulate(n_cells=600, n_genes=120, *, noise=1.0, seed=0):
    """Real-valued expression from 3 of 8 annotated sets, whose annotation has 3 wrong genes either way."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((n_genes, N_SETS), dtype=bool)
    for k in range(N_SETS):
        truth[rng.choice(n_genes, 20, replace=False), k] = True
    weights = np.where(truth, rng.choice([-1, 1], truth.shape) * rng.uniform(0.5, 1.5, truth.shape), 0.0)
    weights[:, N_ACTIVE:] = 0.0
    scores = rng.normal(size=(n_cells, N_SETS))
    Y = scores @ weights.T + rng.normal(0, noise, (n_cells, n_genes)) + rng.normal(2, 1, n_genes)
    annotated = truth.copy()
    for k in range(N_SETS):
        annotated[rng.choice(np.flatnonzero(truth[:, k]), 3, replace=False), k] = False
        annotated[rng.choice(np.flatnonzero(~truth[:, k]), 3, replace=False), k] = True
    adata = anndata.AnnData(
        Y.astype(np.float32),
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]),
    )
    columns = [f"set{k}" for k in range(N_SETS)]
    adata.varm["gene_sets"] = pd.DataFrame(annotated.astype(float), index=adata.var_names, columns=columns)
    FSCLVM.setup_anndata(adata, allow_non_integer=True)
    return adata, weights, scores


@pytest.fixture(scope="module")
def fitted():
    adata, weights, scores = simulate(400, 100)
    model = FSCLVM(adata, n_dense=1, fpr=0.01)
    model.train(100, seed=0, check_val_every_n_epoch=10, lr=0.1, **FAST)
    return model, weights, scores


@pytest.fixture
def adata(make_adata):
    adata = make_adata(covariates=True)
    table = np.zeros((adata.n_vars, 2))
    table[:8, 0] = table[5:15, 1] = 1
    adata.varm["gene_sets"] = pd.DataFrame(table, index=adata.var_names, columns=["A", "B"])
    FSCLVM.setup_anndata(adata, batch_key="batch")
    return adata


def test_relevant_sets_are_found(fitted):
    model, _, _ = fitted
    terms = model.get_terms()
    sets = terms[terms["kind"] == "annotated"]
    assert set(sets["relevance"].nlargest(N_ACTIVE).index) == {"set0", "set1", "set2"}
    assert set(model.active_terms) >= {"set0", "set1", "set2"}
    assert (sets["n_added"].iloc[:N_ACTIVE] >= 2).all()


def test_genes_of_relevant_sets_are_found_despite_errors_in_the_annotation(fitted):
    model, weights, scores = fitted
    inclusion, loadings = model.get_gene_inclusion(), model.get_loadings()
    latent = model.get_latent_representation()
    for k in range(N_ACTIVE):
        assert roc_auc_score(weights[:, k] != 0, inclusion.iloc[:, k]) > 0.9
        assert abs(np.corrcoef(weights[:, k], loadings.iloc[:, k])[0, 1]) > 0.95
        assert abs(np.corrcoef(scores[:, k], latent[:, k])[0, 1]) > 0.9


def test_elbo_rises_on_training_and_held_out_cells(fitted):
    history = fitted[0].history
    for mode in ("train", "validation"):
        loss = history[f"{mode}_loss"].iloc[:, 0]
        assert loss.iloc[-1] < loss.iloc[0]
    assert len(history["train_loss"]) == 100


def test_tables_have_names_and_ranges(fitted):
    model = fitted[0]
    names = [*(f"set{k}" for k in range(N_SETS)), "Dense 1"]
    assert model.factor_names == names
    inclusion, terms = model.get_gene_inclusion(), model.get_terms()
    assert inclusion.columns.to_list() == names
    assert inclusion.index.equals(model.adata.var_names)
    assert inclusion.to_numpy().min() >= 0
    assert inclusion.to_numpy().max() <= 1
    assert (terms["n_genes"] == terms["n_kept"] + terms["n_added"]).all()
    assert (model.get_relevance() >= 0).all()


def small_module(seed=0):
    torch.manual_seed(seed)
    prior = torch.logit(torch.tensor([0.9, 0.1])[torch.randint(2, (5, 3))])
    module = FSCLVMModule(prior, n_batch=2, log_normalise=False)
    with torch.no_grad():
        module.n_cells.fill_(12.0)
        module.loc.normal_()
        module.logits.add_(torch.randn_like(module.logits))
        module.intercept.normal_()
        module.gene_scale.uniform_(0.5, 2.0)
    return module, torch.randn(6, 5), torch.randint(2, (6,))


def test_closed_form_is_the_expectation_of_pyros_elbo():
    with torch.random.fork_rng(devices=[]):
        module, x, batch = small_module()
        exact = float(module.elbo(x, batch).detach())
        estimate = ClosedFormELBO(module)
        draws = [-estimate.loss(module.model, module.guide, x, batch) for _ in range(250)]
    assert abs(np.mean(draws) - exact) < 4 * np.std(draws) / np.sqrt(len(draws))
    loss = estimate.differentiable_loss(module.model, module.guide, x, batch)
    assert float(loss.detach()) == pytest.approx(-exact / 12.0)


def test_ard_and_scores_are_at_their_optimum(monkeypatch):
    with torch.random.fork_rng(devices=[]):
        module, x, batch = small_module()
    best = float(module.elbo(x, batch).detach())
    optimum = FSCLVMModule.q_ard

    def off(weights):
        q = optimum(weights)
        return pyro.distributions.Gamma(1.1 * q.concentration, q.rate)

    monkeypatch.setattr(FSCLVMModule, "q_ard", staticmethod(off))
    assert float(module.elbo(x, batch).detach()) < best


def test_score_variance_is_that_of_the_posterior_of_scores():
    with torch.random.fork_rng(devices=[]):
        module, x, batch = small_module()
    covariance = module.q_scores(x, batch).covariance_matrix
    torch.testing.assert_close(
        module.score_variance(), covariance.diagonal(dim1=-2, dim2=-1).reshape(-1, 3)[0]
    )


def test_same_seed_same_model_and_global_generators_untouched(adata):
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    latents = []
    for _ in range(2):
        model = FSCLVM(adata, n_dense=1, n_sparse=1)
        model.train(3, seed=3, **FAST)
        latents.append(model.get_latent_representation())
    np.testing.assert_array_equal(*latents)
    assert model.seed_ == 3
    assert states[0] == random.getstate()
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])
    assert torch.equal(states[2], torch.get_rng_state())
    assert model.factor_names == ["A", "B", "Sparse 1", "Dense 1"]


@pytest.mark.parametrize("with_data", [True, False])
def test_saved_model_is_equal(adata, tmp_path, with_data):
    model = FSCLVM(adata)
    model.train(2, seed=0, **FAST)
    model.save(tmp_path / "model", save_anndata=False)
    copy = FSCLVM.load(tmp_path / "model", adata=adata.copy() if with_data else False, accelerator="cpu")
    pd.testing.assert_frame_equal(copy.get_terms(), model.get_terms(), check_exact=True)
    pd.testing.assert_frame_equal(copy.get_loadings(), model.get_loadings(), check_exact=True)
    if with_data:
        latents = copy.get_latent_representation(), model.get_latent_representation()
        np.testing.assert_array_equal(*latents)
        copy.train(2, seed=1, **FAST)
        assert copy.history["train_loss"].index.to_list() == [0, 1, 2, 3]


def test_models_side_by_side_share_nothing(adata):
    pyro.clear_param_store()
    one, two = FSCLVM(adata), FSCLVM(adata, n_dense=1)
    one.train(2, seed=0, **FAST)
    before = one.get_latent_representation()
    two.train(2, seed=1, **FAST)
    np.testing.assert_array_equal(one.get_latent_representation(), before)
    assert not list(pyro.get_param_store().keys())


def test_loading_leaves_pyros_store_alone(adata, tmp_path):
    model = FSCLVM(adata)
    model.train(1, seed=0, **FAST)
    model.save(tmp_path / "model")
    pyro.param("of another model", torch.tensor(1.0))
    try:
        FSCLVM.load(tmp_path / "model", adata=adata, accelerator="cpu")
        assert list(pyro.get_param_store().keys()) == ["of another model"]
    finally:
        pyro.clear_param_store()


def test_new_cells_are_mapped_one_by_one(adata):
    model = FSCLVM(adata)
    model.train(2, seed=0, **FAST)
    new = adata[:20].copy()
    np.testing.assert_allclose(
        model.get_latent_representation(new), model.get_latent_representation()[:20], atol=1e-5
    )
    np.testing.assert_allclose(
        model.get_latent_representation(indices=[3], batch_size=1),
        model.get_latent_representation()[[3]],
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="genes of the model"):
        model.get_latent_representation(adata[:, :10].copy())


def test_latent_goes_into_anndata(adata):
    model = FSCLVM(adata)
    model.train(2, seed=0, **FAST)
    ds.tl.latent(adata, model)
    assert adata.obsm["X_distaff"].shape == (adata.n_obs, 5)
    assert adata.uns["distaff"]["params"]["model"] == "FSCLVM"
    assert len(adata.uns["distaff"]["history"]) == 2


def test_counts_are_log_normalised_and_real_values_are_not(adata):
    x = torch.tensor([[1.0, 3.0]])
    prior = torch.zeros(2, 1)
    counts = FSCLVMModule(prior, n_batch=1, log_normalise=True).expression(x)
    torch.testing.assert_close(counts, torch.log1p(torch.tensor([[2500.0, 7500.0]])))
    assert FSCLVMModule(prior, n_batch=1, log_normalise=False).expression(x) is x
    assert FSCLVM(adata).module.log_normalise
    assert not FSCLVM(adata, log_normalise=False).module.log_normalise


def test_batches_have_their_own_intercepts(adata):
    shifted = adata.copy()
    shifted.X = shifted.X.toarray() + 50.0 * (shifted.obs["batch"] == "b1").to_numpy()[:, None]
    FSCLVM.setup_anndata(shifted, batch_key="batch", allow_non_integer=True)
    model = FSCLVM(shifted)
    model.train(3, seed=0, **FAST)
    intercepts = (model.module.intercept * model.module.gene_scale).detach().numpy()
    np.testing.assert_allclose(intercepts[1] - intercepts[0], 50.0, atol=3.0)


def test_constant_gene_does_no_harm(adata):
    adata.X = adata.X.multiply(np.arange(adata.n_vars) != 4).tocsr()
    FSCLVM.setup_anndata(adata)
    model = FSCLVM(adata)
    model.train(5, seed=0, **FAST)
    assert np.isfinite(model.get_latent_representation()).all()
    assert np.isfinite(model.get_loadings().to_numpy()).all()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"set_key": "none"}, KeyError, "Run distaff.pp.gene_sets first"),
        ({"fpr": 0.0}, ValueError, "fpr must be > 0, got 0.0"),
        ({"fnr": 1.0}, ValueError, "fnr must be < 1, got 1.0"),
        ({"n_dense": -1}, ValueError, "n_dense must be >= 0, got -1"),
        ({"n_sparse": 1.5}, TypeError, "n_sparse must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        FSCLVM(adata, **options)


def test_covariates_that_would_be_ignored_are_refused(adata):
    FSCLVM.setup_anndata(adata, continuous_covariate_keys=["age"])
    with pytest.raises(ValueError, match="no covariates but the batch"):
        FSCLVM(adata)


def test_negative_values_are_not_log_normalised():
    adata, _, _ = simulate(50, 30)
    with pytest.raises(ValueError, match="negative|>= 0"):
        FSCLVM(adata, log_normalise=True)


def test_wrong_run_is_refused(adata, tmp_path):
    model = FSCLVM(adata)
    with pytest.raises(ValueError, match="max_epochs must be >= 1"):
        model.train(0, **FAST)
    with pytest.raises(ValueError, match=r"lr must be > 0"):
        model.train(1, lr=0.0, **FAST)
    model.train(1, seed=0, **FAST)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="no data to train on"):
        FSCLVM.load(tmp_path / "model", adata=False, accelerator="cpu").train(1)


@pytest.mark.slow
def test_relevant_sets_are_found_in_noisier_data():
    adata, weights, _ = simulate(1000, 150, noise=1.5, seed=1)
    model = FSCLVM(adata)
    model.train(80, seed=0, **FAST)
    relevance = model.get_relevance().iloc[:N_SETS]
    assert set(relevance.nlargest(N_ACTIVE).index) == {"set0", "set1", "set2"}
    inclusion = model.get_gene_inclusion()
    for k in range(N_ACTIVE):
        assert roc_auc_score(weights[:, k] != 0, inclusion.iloc[:, k]) > 0.9
