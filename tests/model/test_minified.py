import numpy as np
import pytest

from distaff.model import AnnotatedVAE, BetaVAE, FactorVAE, LinearVAE, ProgramVAE, SparseVAE

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
KEYS = {
    "batch_key": "batch",
    "labels_key": "label",
    "categorical_covariate_keys": ["donor"],
    "continuous_covariate_keys": ["age"],
}
MODELS = {
    "BetaVAE": (BetaVAE, {"n_latent": 3, "likelihood": "zinb", "dispersion": "gene-label"}),
    "BetaVAE normal": (BetaVAE, {"n_latent": 3, "likelihood": "normal"}),
    "LinearVAE": (LinearVAE, {"n_latent": 3}),
    "LinearVAE logistic normal": (LinearVAE, {"n_latent": 3, "latent": "logistic_normal"}),
    "SparseVAE": (SparseVAE, {"n_latent": 3, "prior": "pseudo_input", "alpha": 0.5}),
    "ProgramVAE": (ProgramVAE, {"n_latent": 3, "init": None, "gate": True}),
    "AnnotatedVAE": (AnnotatedVAE, {"n_dense": 1}),
}
GATED = ("SparseVAE", "ProgramVAE")


@pytest.fixture
def make_model(make_adata):
    """Return a maker of trained models, given the class and what differs from the defaults."""

    def make(cls=BetaVAE, **options):
        adata = make_adata(40, 12, covariates=True)
        adata.varm["gene_sets"] = np.repeat(np.eye(2), 6, axis=0)
        adata.layers["counts"] = adata.X.copy()
        cls.setup_anndata(adata, layer="counts", **KEYS)
        model = cls(adata, **{"n_hidden": 8, "encode_covariates": True} | options)
        model.train(2, **FAST)
        return model

    return make


def results(model, *, gated=False):
    """All that a model says of its cells without looking at their counts."""
    found = {
        "latent": model.get_latent_representation(),
        "draw": model.get_latent_representation(give_mean=False, seed=3),
        "expression": model.get_normalized_expression(n_samples=2, return_numpy=True),
        "other batch": model.get_normalized_expression(transform_batch="b1", return_numpy=True),
        "sample": np.asarray(model.posterior_predictive_sample(n_samples=2).todense()),
        **model.get_likelihood_parameters(),
    }
    found["mean of q"], found["variance of q"] = model.get_latent_representation(return_dist=True)
    if gated:
        found["inclusion"] = model.get_inclusion_probability()
    return found


def assert_equal(before, after):
    assert before.keys() == after.keys()
    for name in before.keys() - {"sample"}:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-5, atol=1e-6, err_msg=name)
    # a count at the edge between two may fall to the other side
    assert np.mean(~np.isclose(before["sample"], after["sample"], rtol=1e-4, atol=1e-5)) < 0.01


@pytest.mark.parametrize("name", MODELS)
def test_results_are_those_of_the_counts(make_model, name, tmp_path):
    cls, options = MODELS[name]
    gated = name in GATED
    model = make_model(cls, **options)
    full = model.adata
    before = results(model, gated=gated)
    assert before["latent"].std() > 0
    model.minify_adata()
    assert model.minified_data_type == "latent_posterior_parameters"
    assert model.adata.X.nnz == model.adata.layers["counts"].nnz == 0
    assert ("_distaff_gate_logits" in model.adata.obsm) == gated
    assert_equal(before, results(model, gated=gated))
    assert full.X.nnz
    assert "_scvi_latent_qzm" not in full.obsm

    model.save(tmp_path / "model", save_anndata=True)
    loaded = cls.load(tmp_path / "model", accelerator="cpu")
    assert loaded.minified_data_type == "latent_posterior_parameters"
    assert_equal(before, results(loaded, gated=gated))
    assert "minified?: True" in loaded.summary_string
    part = loaded.adata[:12].copy()
    assert np.allclose(loaded.get_latent_representation(part), before["latent"][:12], atol=1e-6)


def test_what_needs_counts_says_so(make_model):
    model = make_model(n_latent=3)
    methods = {"get_elbo": {}, "get_marginal_ll": {"n_mc_samples": 2}, "get_reconstruction_error": {}}
    methods["get_latent_library_size"] = {"give_mean": False}
    for method, options in methods.items():
        getattr(model, method)(**options)
    model.minify_adata()
    for method, options in methods.items():
        with pytest.raises(ValueError, match=f"{method} function currently does not support minified data"):
            getattr(model, method)(**options)


def test_with_counts_the_elbo_is_that_of_the_encoder(make_model, tmp_path):
    model = make_model(SparseVAE, n_latent=3, prior="pseudo_input")
    before, elbo, marginal = (
        results(model, gated=True),
        model.get_elbo(),
        model.get_marginal_ll(n_mc_samples=5),
    )
    model.minify_adata("latent_posterior_parameters_with_counts")
    assert model.adata.layers["counts"].nnz
    assert_equal(before, results(model, gated=True))
    assert model.get_elbo() == elbo
    assert model.get_marginal_ll(n_mc_samples=5) == marginal
    model.adata.obsm["_scvi_latent_qzm"] += 1.0  # the latent is read from the slot, the ELBO is not
    assert not np.allclose(model.get_latent_representation(), before["latent"])
    assert model.get_elbo() == elbo


def test_differential_expression_of_minified_data(make_model):
    model = make_model(n_latent=3)
    options = {
        "groupby": "label",
        "group1": "l0",
        "group2": "l1",
        "silent": True,
        "all_stats": False,
        "mode": "change",
    }
    before = model.differential_expression(**options)
    model.minify_adata()
    with pytest.warns(UserWarning, match="Count statistics make no sense"):
        after = model.differential_expression(**options)
    assert np.allclose(before["lfc_mean"], after.loc[before.index, "lfc_mean"], atol=1e-4)


def test_minified_data_can_be_a_reference(make_model, make_adata):
    model = make_model(n_latent=3)
    model.minify_adata()
    query = make_adata(40, 12, covariates=True, seed=1)
    query.obs["batch"] = "new"
    query.layers["counts"] = query.X
    mapped = BetaVAE.load_query_data(query, model, accelerator="cpu")
    mapped.train(1, **FAST)
    assert mapped.minified_data_type is None
    mapped.minify_adata()
    assert mapped.get_latent_representation().shape == (40, 3)
    with pytest.raises(ValueError, match="The query must have its counts, got minified data"):
        BetaVAE.load_query_data(mapped.adata, model)


def test_refusals(make_model, make_adata):
    with pytest.raises(ValueError, match="library size must be observed to minify data, got a learned one"):
        make_model(n_latent=3, use_observed_lib_size=False).minify_adata()
    with pytest.raises(TypeError, match="must be normal or a spike and slab to minify data, got Point"):
        make_model(FactorVAE, prior="deterministic", n_latent=3).minify_adata()
    model = make_model(n_latent=3)
    with pytest.raises(ValueError, match="minified_data_type must be one of"):
        model.minify_adata("counts")
    full = model.adata
    other = make_model(n_latent=3)
    model.minify_adata()
    with pytest.raises(ValueError, match="must not be minified to minify them"):
        model.minify_adata()
    with pytest.raises(ValueError, match="must not be minified to train"):
        model.train(1, **FAST)
    with pytest.raises(
        ValueError, match="must be minified as the data of the model are, got data with counts"
    ):
        model.get_latent_representation(full)
    with pytest.raises(ValueError, match="got latent_posterior_parameters for a model of data with counts"):
        other.get_latent_representation(model.adata)
    untrained = BetaVAE(full, n_latent=3)
    with pytest.raises(RuntimeError):
        untrained.minify_adata()
