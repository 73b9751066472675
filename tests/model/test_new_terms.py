import json

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.metrics import roc_auc_score

import distaff as ds
from distaff.model import AnnotatedVAE, BetaVAE
from distaff.train import FactorTrainingPlan

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
NEW = {"new_set_key": "new", "n_new_sparse": 2, "n_new_dense": 1}
KNOWN = ["a", "b", "Sparse 1", "Dense 1"]
ADDED = ["c", "d", "Sparse 2", "Sparse 3", "Dense 2"]
OWN = {"posterior.mean.added_weight.query_0", "posterior.mean.added_bias.query_0"}
OWN |= {name.replace("mean", "log_variance") for name in OWN} | {"decoder.added.query_0"}


@pytest.fixture
def make_reference(make_adata):
    """Return a maker of trained references with two sets, a sparse and a dense factor."""

    def make(cells=60, **options):
        adata = make_adata(cells, 12, covariates=True)
        mask = np.repeat(np.eye(2), 6, axis=0)
        adata.varm["gene_sets"] = pd.DataFrame(mask, index=adata.var_names, columns=["a", "b"])
        AnnotatedVAE.setup_anndata(adata, batch_key="batch")
        defaults = {"n_sparse": 1, "n_dense": 1, "n_hidden": 8, "lambda_off_mask": 0.1, "lambda_sparse": 0.1}
        model = AnnotatedVAE(adata, **defaults | options)
        model.train(2, **FAST)
        return model

    return make


@pytest.fixture
def query(make_adata):
    """Cells of batches that the reference knows, with two new sets."""
    adata = make_adata(40, 12, covariates=True, seed=1)
    mask = np.zeros((12, 2))
    mask[3:8, 0] = mask[[0, 11], 1] = 1
    adata.varm["new"] = pd.DataFrame(mask, index=adata.var_names, columns=["c", "d"])
    return adata


def load(query, reference, **options):
    return AnnotatedVAE.load_query_data(query, reference, accelerator="cpu", **NEW | options)


def states(model):
    state = {name: value.clone() for name, value in model.module.state_dict().items()}
    return {name: value for name, value in state.items() if not name.endswith("_extra_state")}


N_EPOCHS = 60  # of the science tests
OPTIONS = {
    "soft": {},
    "hard": {"mask": "hard"},
    "paper": {"prox": "paper"},
    "zinb": {"likelihood": "zinb", "dispersion": "gene-cell"},
    "covariates": {"encode_covariates": True},
    "deterministic": {"latent": "deterministic"},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_only_new_terms_change(make_reference, query, case, tmp_path):
    reference = make_reference(**OPTIONS[case])
    latent = reference.get_latent_representation()
    known = reference.get_latent_representation(query.copy())
    model = load(query, reference)
    assert not model.is_trained_
    before = states(model)
    assert set(before) - set(states(reference)) == {key for key in before if "added" in key}
    model.train(2, weight_decay=0.1, **FAST)
    assert model.factor_names == KNOWN + ADDED

    after = states(model)
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    own = OWN if case != "deterministic" else {key for key in before if "added" in key}
    assert changed == own
    for key, value in states(reference).items():
        assert torch.equal(after[key], value)

    assert np.array_equal(model.get_latent_representation()[:, :4], known)
    assert np.array_equal(model.get_latent_representation(reference.adata.copy())[:, :4], latent)
    assert model.get_latent_representation()[:, 4:].std(axis=0).min() > 0
    assert model.get_loadings()[KNOWN].equals(reference.get_loadings())

    model.save(tmp_path / "query")
    for adata in (model.adata, False):
        loaded = AnnotatedVAE.load(tmp_path / "query", adata, accelerator="cpu")
        assert loaded.get_terms().equals(model.get_terms())
        Z = loaded.get_latent_representation(model.adata)
        assert np.array_equal(Z, model.get_latent_representation())
    loaded = AnnotatedVAE.load(tmp_path / "query", model.adata, accelerator="cpu")
    loaded.train(1, **FAST)
    assert np.array_equal(loaded.get_latent_representation()[:, :4], known)


def test_with_new_batches(make_reference, query):
    reference = make_reference(encode_covariates=True)
    latent = reference.get_latent_representation()
    query.obs["batch"] = ["b1", "new"] * 20
    model = load(query, reference)
    before = states(model)
    model.train(1, **FAST)
    changed = {key for key, value in states(model).items() if not torch.equal(value, before[key])}
    assert changed > OWN
    assert all(key in OWN or key.endswith(".added") for key in changed)
    assert np.array_equal(model.get_latent_representation(reference.adata.copy())[:, :4], latent)


def test_terms(make_reference, query):
    reference = make_reference()
    model = load(query, reference)
    model.train(2, **FAST)
    terms = model.get_terms()
    kinds = ["annotated"] * 2 + ["sparse", "dense"]
    assert list(terms["kind"]) == [*kinds, "annotated", "annotated", "sparse", "sparse", "dense"]
    assert terms.loc[KNOWN].equals(reference.get_terms())
    assert list((terms["n_kept"] + terms["n_dropped"])[ADDED]) == [5, 2, 12, 12, 12]
    assert np.array_equal(terms["n_kept"] + terms["n_added"], terms["n_genes"])
    loadings = model.get_loadings()
    assert loadings.shape == (12, 9)
    assert model.active_terms == loadings.columns[loadings.any()].to_list()
    ds.tl.latent(query, model)
    ds.tl.loadings(query, model)
    assert query.obsm["X_distaff"].shape == (40, 9)
    assert query.uns["distaff"]["kl_per_dimension"].shape == (2, 9)
    assert list(query.varm["distaff_loadings"]) == KNOWN + ADDED


def test_the_start_is_near_the_reference(make_reference, query):
    reference = make_reference()
    model = load(query, reference)
    model.is_trained_ = True  # ask for what an untrained one would say
    mean, variance = model.get_latent_representation(return_dist=True)
    assert not mean[:, 4:].any()
    np.testing.assert_allclose(variance[:, 4:], 1, atol=1e-3)
    start = model.get_loadings()[ADDED]
    assert 0 < start.abs().to_numpy().max() <= 0.1
    mask = query.varm["new"].to_numpy()
    np.testing.assert_allclose(start[["c", "d"]], 0.1 * mask)
    ours, theirs = (m.get_likelihood_parameters(query.copy())["mean"] for m in (model, reference))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_seed_decides_on_the_start(make_reference, query):
    reference = make_reference()
    fits = []
    for seed in (1, 1, 2):
        model = load(query, reference)
        model.train(1, **FAST | {"seed": seed})
        fits.append(model.get_loadings()["Dense 2"])
    assert fits[0].equals(fits[1])
    assert not fits[0].equals(fits[2])


@pytest.mark.parametrize("prox", ["metric", "paper"])
def test_zeros_are_exact_after_every_step(make_reference, query, monkeypatch, prox):
    reference = make_reference(prox=prox, lambda_off_mask=3.0, lambda_sparse=3.0)
    loadings = reference.get_loadings()
    model = load(query, reference)
    shares = []
    after = FactorTrainingPlan._after_step

    def record(self, optimiser, *, penalised):
        after(self, optimiser, penalised=penalised)
        weights = self.module.decoder.loadings()
        penalised = weights[self.module.decoder.l1 > 0]
        assert not ((penalised != 0) & (penalised.abs() < 1e-12)).any()
        assert torch.equal(weights[:, :4], torch.tensor(loadings.to_numpy()))
        shares.append(float((weights[:, 4:6] == 0).float().mean()))

    monkeypatch.setattr(FactorTrainingPlan, "_after_step", record)
    model.train(3, **FAST)
    assert len(shares) > 3
    assert shares[-1] > 0.5


def test_a_hard_mask_and_a_group_lasso_hold_for_new_sets(make_reference, query):
    model = load(query, make_reference(mask="hard"))
    model.train(2, **FAST)
    outside = query.varm["new"].to_numpy() == 0
    new = model.get_loadings()
    assert not new[["c", "d"]].to_numpy()[outside].any()
    assert new["Dense 2"].all()
    reference = make_reference(lambda_group=1e6)
    assert reference.active_terms == ["Sparse 1", "Dense 1"]
    model = load(query, reference)
    model.train(2, **FAST)
    assert not {"c", "d"} & set(model.active_terms)
    assert np.isfinite(model.get_latent_representation()).all()


def test_a_query_can_be_a_reference(make_reference, query, tmp_path):
    reference = make_reference()
    first = load(query, reference)
    first.train(1, **FAST)
    latent = first.get_latent_representation()
    first.save(tmp_path / "first")
    plain = AnnotatedVAE.load_query_data(query, tmp_path / "first", accelerator="cpu")
    assert plain.is_trained_
    assert plain.factor_names == KNOWN + ADDED
    assert np.array_equal(plain.get_latent_representation(), latent)
    with pytest.raises(ValueError, match="must have new batches or categories to train"):
        plain.train(1, **FAST)

    for known in (first, plain):
        second = AnnotatedVAE.load_query_data(query, known, n_new_sparse=1, accelerator="cpu")
        before = states(second)
        second.train(1, **FAST)
        second.save(tmp_path / "second", overwrite=True)
        second = AnnotatedVAE.load(tmp_path / "second", second.adata, accelerator="cpu")
        changed = {key for key, value in states(second).items() if not torch.equal(value, before[key])}
        last = f"query_{len(second.registry['distaff_new_terms']) - 1}"
        assert changed == {name.replace("query_0", last) for name in OWN}
        assert second.factor_names == [*KNOWN, *ADDED, "Sparse 4"]
        assert np.array_equal(second.get_latent_representation()[:, :9], latent)
        assert second.get_loadings()[KNOWN + ADDED].equals(first.get_loadings())


def test_without_freeze_all_is_trained(make_reference, query):
    reference = make_reference()
    model = load(query, reference, freeze=False)
    before = states(model)
    assert torch.equal(before["posterior.mean.weight"], reference.module.posterior.mean.weight)
    model.train(5, **FAST)
    after = states(model)
    for key in [*OWN, "posterior.mean.weight", "decoder.weights.raw", "decoder.bias"]:
        assert not torch.equal(after[key], before[key])
    assert (model.get_loadings() == 0).to_numpy().any()


def test_minified(make_reference, query, tmp_path):
    model = load(query, make_reference())
    model.train(1, **FAST)
    latent = model.get_latent_representation()
    model.minify_adata()
    np.testing.assert_allclose(model.get_latent_representation(), latent, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "minified", save_anndata=True)
    for adata in (None, False):
        loaded = AnnotatedVAE.load(tmp_path / "minified", adata, accelerator="cpu")
        assert loaded.get_terms().equals(model.get_terms())
    with pytest.raises(ValueError, match="must not be minified to train"):
        model.train(1, **FAST)


def test_sets_follow_their_genes(make_reference, query):
    reference = make_reference()
    kept = [g for g in np.random.default_rng(0).permutation(12) if g not in (5, 9)]
    shuffled = query[:, kept].copy()
    extra = anndata.AnnData(sparse.csr_matrix((40, 1), dtype=np.float32), obs=query.obs)
    extra.var_names = ["other"]
    other = anndata.concat([extra, shuffled], axis=1, merge="first")
    table = query.varm["new"].reindex(other.var_names)
    other.varm["new"] = table.fillna({"c": 1.0, "d": 0.0})  # a gene of "c" that the model does not have
    with pytest.warns(UserWarning, match="2 of the 12 genes"):
        model = load(other, reference)
    model.train(1, **FAST)
    terms = model.get_terms().loc[["c", "d"]]
    assert list(terms["n_kept"] + terms["n_dropped"]) == [4, 2]
    stored = model.registry["distaff_new_terms"][0]["gene_sets"]
    assert sorted(zip(stored["sets"], stored["genes"], strict=True)) == [
        *((0, g) for g in (3, 4, 6, 7)),
        *((1, g) for g in (0, 11)),
    ]
    assert "new" not in model.adata.varm


def test_the_registry_is_plain(make_reference, query):
    model = load(query, make_reference(), n_new_sparse=np.int64(2))
    stored = model.registry["distaff_new_terms"]
    assert json.loads(json.dumps(stored)) == stored
    assert (stored[0]["n_sparse"], stored[0]["n_dense"]) == (2, 1)
    assert "distaff_new_terms" not in make_reference().registry


def rename(name):
    return lambda adata: adata.varm["new"].rename(columns={"c": name})


def empty(adata):
    return adata.varm["new"].assign(d=0.0)


BAD = {
    "no table": ({"new_set_key": "none"}, None, KeyError, "new_set_key must name a table.*'none'.*'new'"),
    "negative": ({"n_new_sparse": -1}, None, ValueError, "n_new_sparse must be >= 0, got -1"),
    "no number": ({"n_new_dense": 1.5}, None, TypeError, "n_new_dense must be an integer, got 1.5"),
    "a known set": ({}, rename("a"), ValueError, "must differ from those of all other terms, got 'a'"),
    "twice": ({}, rename("d"), ValueError, "must have names of their own, got 'd' more than once"),
    "a free factor": ({}, rename("Sparse 2"), ValueError, "of all other terms, got 'Sparse 2'"),
    "an empty set": ({}, empty, ValueError, "must have genes, got 1 empty sets: 'd'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_terms(make_reference, query, case):
    options, change, kind, message = BAD[case]
    reference = make_reference()
    if change is not None:
        query.varm["new"] = change(query)
    with pytest.raises(kind, match=message):
        load(query, reference, **options)


def test_a_set_of_genes_that_the_model_does_not_have(make_reference, query):
    reference = make_reference()
    other = anndata.AnnData(query.X, obs=query.obs)
    other.var_names = [*query.var_names[:11], "other"]
    other.varm["new"] = pd.DataFrame({"e": [0.0] * 11 + [1.0]}, index=other.var_names)
    with (
        pytest.warns(UserWarning, match="1 of the 12 genes"),
        pytest.raises(ValueError, match="must have genes of the model, got 1 empty sets: 'e'"),
    ):
        load(other, reference)


def test_other_models_take_no_terms(make_adata):
    adata = make_adata()
    BetaVAE.setup_anndata(adata)
    model = BetaVAE(adata, n_latent=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_new_sparse'"):
        BetaVAE.load_query_data(adata, model, n_new_sparse=1)


def simulate(n_cells, *, n_programs, seed):
    """Counts of 120 genes, of which each program raises 15 in half of the cells; which cells use it."""
    rng = np.random.default_rng(0)
    base, effects = rng.gamma(2.0, size=120), np.zeros((4, 120))
    for k in range(4):
        effects[k, 15 * k : 15 * (k + 1)] = rng.uniform(0.8, 1.8, 15)
    rng = np.random.default_rng(seed)
    usage = rng.uniform(0.6, 1.4, (n_cells, 4)) * (rng.random((n_cells, 4)) < 0.5)
    usage[:, n_programs:] = 0
    rate = base * np.exp(usage @ effects)
    rate *= 1500 / rate.sum(axis=1, keepdims=True)
    counts = rng.poisson(rng.gamma(5.0, rate / 5.0)).astype(np.float32)
    adata = anndata.AnnData(sparse.csr_matrix(counts))
    adata.var_names = [f"gene{g}" for g in range(120)]
    return adata, usage > 0


@pytest.fixture(scope="module")
def trained():
    """Trained reference of three programs, each a gene set; cells that also use a fourth, and which do."""
    adata, _ = simulate(400, n_programs=3, seed=1)
    query, used = simulate(400, n_programs=4, seed=2)
    ds.pp.gene_sets(adata, {f"P{k}": list(adata.var_names[15 * k : 15 * (k + 1)]) for k in range(3)})
    ds.pp.gene_sets(query, {"P3": list(adata.var_names[45:60])}, set_key="new")
    AnnotatedVAE.setup_anndata(adata)
    model = AnnotatedVAE(adata, n_hidden=64, lambda_group=0.5, init=None)
    model.train(N_EPOCHS, **FAST | {"batch_size": 64})
    return model, query, used


@pytest.mark.parametrize("term", [{"n_new_sparse": 1}, {"n_new_dense": 1}, {"new_set_key": "new"}], ids=str)
def test_a_new_term_finds_the_new_program(trained, term):
    reference, query, used = trained
    model = AnnotatedVAE.load_query_data(query, reference, accelerator="cpu", **term)
    model.train(N_EPOCHS, **FAST | {"batch_size": 64})
    Z = model.get_latent_representation()
    assert np.array_equal(Z[:, :3], reference.get_latent_representation(query.copy()))
    direction = -1 if model.get_loadings().iloc[45:60, 3].sum() < 0 else 1
    assert roc_auc_score(used[:, 3], direction * Z[:, 3]) > 0.9
    top = model.get_loadings(centered=True).iloc[:, 3].mul(direction).nlargest(15).index
    assert top.isin(query.var_names[45:60]).mean() > 0.8


def test_where_nothing_is_new_penalised_terms_stay_off(trained):
    reference, *_ = trained
    query, _ = simulate(400, n_programs=3, seed=2)
    query.varm["new"] = pd.DataFrame({"P3": [0.0] * 45 + [1.0] * 15 + [0.0] * 60}, index=query.var_names)
    model = AnnotatedVAE.load_query_data(
        query, reference, new_set_key="new", n_new_sparse=1, accelerator="cpu"
    )
    model.train(N_EPOCHS, **FAST | {"batch_size": 64})
    assert model.active_terms == reference.active_terms
    assert model.history["kl_per_dimension_train"].iloc[-1, 3:].max() < 0.1
