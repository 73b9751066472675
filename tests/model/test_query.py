import numpy as np
import pytest
import torch
from scipy import sparse

from distaff import tl
from distaff.model import AnnotatedVAE, BetaVAE, LinearVAE, ProgramVAE, SparseVAE

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
KEYS = {
    "batch_key": "batch",
    "labels_key": "label",
    "categorical_covariate_keys": ["donor"],
    "continuous_covariate_keys": ["age"],
}
SMALL = {"n_hidden": 8, "encode_covariates": True}
MODELS = {
    "BetaVAE": (BetaVAE, {"n_latent": 3, "likelihood": "zinb"}),
    "BetaVAE learned library": (BetaVAE, {"n_latent": 3, "use_observed_lib_size": False}),
    "BetaVAE gene-batch": (BetaVAE, {"n_latent": 3, "dispersion": "gene-batch"}),
    "LinearVAE": (LinearVAE, {"n_latent": 3}),
    "LinearVAE logistic normal": (LinearVAE, {"n_latent": 3, "latent": "logistic_normal"}),
    "SparseVAE": (SparseVAE, {"n_latent": 3, "prior": "pseudo_input"}),
    "ProgramVAE": (ProgramVAE, {"n_latent": 3}),
    "AnnotatedVAE": (AnnotatedVAE, {"n_dense": 1}),
}


@pytest.fixture
def make_reference(make_adata):
    """Return a maker of trained models, given the class and what differs from the defaults."""

    def make(cls=BetaVAE, keys=KEYS, change=None, train=True, **options):
        adata = make_adata(60, 12, covariates=True)
        adata.varm["gene_sets"] = np.repeat(np.eye(2), 6, axis=0)
        if change is not None:
            change(adata)
        cls.setup_anndata(adata, **keys)
        model = cls(adata, **({"n_latent": 3} if cls is BetaVAE else {}) | SMALL | options)
        if train:
            model.train(2, **FAST)
        return model

    return make


@pytest.fixture
def query(make_adata):
    """Cells of a known and of a new batch, and of a new donor."""
    adata = make_adata(40, 12, covariates=True, seed=1)
    adata.obs["batch"] = ["b1", "new"] * 20
    adata.obs["donor"] = ["d0", "d1", "d2", "new"] * 10
    return adata


def states(model):
    """All tensors of a module, in one piece per table."""
    state = {name: value.clone() for name, value in model.module.state_dict().items()}
    return {name: value for name, value in state.items() if not name.endswith("_extra_state")}


@pytest.mark.parametrize("name", MODELS)
def test_only_rows_of_new_categories_change(make_reference, query, name, tmp_path):
    cls, options = MODELS[name]
    reference = make_reference(cls, **options)
    latent = reference.get_latent_representation()
    parameters = reference.get_likelihood_parameters()
    model = cls.load_query_data(query, reference, accelerator="cpu")
    assert not model.is_trained_
    before = states(model)
    model.train(2, weight_decay=0.1, **FAST)

    changed = {key for key, value in states(model).items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if key.endswith(".added")}
    assert any(key.startswith("decoder.") for key in changed)
    assert any(key.startswith("encoder.") for key in changed)
    assert ("likelihood.dispersion.log_value.added" in changed) == (name == "BetaVAE gene-batch")

    cells = reference.adata.copy()
    assert np.array_equal(model.get_latent_representation(cells), latent)
    for key, value in model.get_likelihood_parameters(cells).items():
        assert np.array_equal(value, parameters[key])

    model.save(tmp_path / "query")
    loaded = cls.load(tmp_path / "query", model.adata, accelerator="cpu")
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    loaded.train(1, **FAST)
    assert np.array_equal(loaded.get_latent_representation(cells), latent)


@pytest.mark.parametrize("name", ["BetaVAE", "LinearVAE logistic normal", "AnnotatedVAE"])
def test_genes_in_another_order_are_put_right(make_reference, query, name, tmp_path):
    cls, options = MODELS[name]
    reference = make_reference(cls, **options)
    reference.save(tmp_path / "reference")
    shuffled = query[:, np.random.default_rng(0).permutation(query.n_vars)].copy()
    models = [
        cls.load_query_data(query, reference, accelerator="cpu"),
        cls.load_query_data(shuffled, tmp_path / "reference", accelerator="cpu"),
    ]
    for model in models:
        model.train(1, **FAST)
    latents = [model.get_latent_representation() for model in models]
    assert np.array_equal(*latents)
    assert latents[0].std() > 0
    assert list(shuffled.obs) == list(query.obs) == ["batch", "label", "donor", "age", "size"]


def test_new_rows_start_at_the_mean_of_the_known(make_reference, query):
    reference = make_reference()
    model = BetaVAE.load_query_data(query, reference, accelerator="cpu")
    known, table = (m.module.decoder.body.linears[0].shift.categorical[0]() for m in (reference, model))
    assert torch.equal(table[:3], known)
    assert torch.allclose(table[3], known.mean(0))


def test_a_reference_of_one_batch_gets_a_row_of_zeros(make_reference, query):
    reference = make_reference(change=lambda adata: adata.obs.__setitem__("batch", "b1"))
    latent, mean = reference.get_latent_representation(), reference.get_likelihood_parameters()["mean"]
    assert reference.module.decoder.body.linears[0].shift.categorical[0].n_rows == 0
    model = BetaVAE.load_query_data(query, reference, accelerator="cpu")
    model.train(2, **FAST)
    table = model.module.decoder.body.linears[0].shift.categorical[0]()
    assert len(table) == 2
    assert not table[0].any()
    assert table[1].any()
    cells = reference.adata.copy()
    assert np.array_equal(model.get_latent_representation(cells), latent)
    assert np.array_equal(model.get_likelihood_parameters(cells)["mean"], mean)


@pytest.mark.parametrize("encode_covariates", [False, True])
def test_an_encoder_without_covariates_reads_cells_before_training(make_reference, query, encode_covariates):
    model = BetaVAE.load_query_data(
        query, make_reference(encode_covariates=encode_covariates), accelerator="cpu"
    )
    readers = [model.get_latent_representation, model.get_kl_per_dimension]
    if encode_covariates:
        for read in readers:
            with pytest.raises(RuntimeError, match="train"):
                read()
        return
    before = [read() for read in readers]
    tl.latent(query, model)
    with pytest.raises(RuntimeError, match="train"):
        model.get_reconstruction_error()
    model.train(2, **FAST)
    for read, expected in zip(readers, before, strict=True):
        assert np.array_equal(read(), expected)
    assert np.array_equal(query.obsm["X_distaff"], before[0])


def test_nothing_new_is_ready_at_once_and_refuses_to_train(make_reference, make_adata, tmp_path):
    reference = make_reference()
    cells = make_adata(30, 12, covariates=True, seed=1)
    cells.obs["label"] = "new"  # labels enter no network
    model = BetaVAE.load_query_data(cells, reference, accelerator="cpu")
    cells.obs["label"] = "l0"
    assert np.array_equal(model.get_latent_representation(), reference.get_latent_representation(cells))
    model.save(tmp_path / "query")
    for query_model in (model, BetaVAE.load(tmp_path / "query", model.adata)):
        with pytest.raises(ValueError, match="must have new batches or categories to train, got none"):
            query_model.train(1, **FAST)


def test_without_freeze_all_is_trained_from_the_reference_on(make_reference, query):
    reference = make_reference()
    model = BetaVAE.load_query_data(query, reference, freeze=False, accelerator="cpu")
    before = states(model)
    assert torch.equal(before["posterior.mean.weight"], reference.module.posterior.mean.weight)
    model.train(1, lr=1e-12, **FAST)  # weights drawn anew would be far away
    after = states(model)
    assert torch.allclose(after["posterior.mean.weight"], before["posterior.mean.weight"], atol=1e-6)
    model.train(1, **FAST)
    after = states(model)
    assert not torch.equal(after["posterior.mean.weight"], before["posterior.mean.weight"])
    assert not torch.equal(
        after["encoder.body.norms.0.running_mean"], before["encoder.body.norms.0.running_mean"]
    )


def test_frozen_parts_stay_in_evaluation_mode(make_reference, query):
    module = BetaVAE.load_query_data(query, make_reference(), accelerator="cpu").module
    module.train()
    body = module.encoder.body
    assert module.training
    assert not any(layer.training for layer in (body.dropout, *body.norms, *module.decoder.body.norms))
    module.requires_grad_()
    module.train()
    assert all(layer.training for layer in (body.dropout, *body.norms, *module.decoder.body.norms))


def test_a_query_can_be_a_reference(make_reference, query):
    reference = make_reference()
    latent = reference.get_latent_representation()
    first = BetaVAE.load_query_data(query, reference, accelerator="cpu")
    first.train(1, **FAST)
    first_latent = first.get_latent_representation()
    newer = query.copy()
    newer.obs["batch"] = ["new", "newer"] * 20
    second = BetaVAE.load_query_data(newer, first, accelerator="cpu")
    second.train(1, **FAST)
    assert np.array_equal(second.get_latent_representation(query), first_latent)
    assert np.array_equal(second.get_latent_representation(reference.adata.copy()), latent)
    unfrozen = BetaVAE.load_query_data(newer, first, freeze=False, accelerator="cpu")
    assert all(parameter.requires_grad for parameter in unfrozen.module.parameters())


def test_library_moments_of_new_batches_are_those_of_the_query(make_reference, query):
    reference = make_reference(use_observed_lib_size=False)
    library = BetaVAE.load_query_data(query, reference, accelerator="cpu").module.library
    totals = np.log(np.asarray(query.X.sum(axis=1)).ravel()[query.obs["batch"] == "new"])
    assert torch.equal(library.log_means[:3], reference.module.library.log_means)
    assert torch.equal(library.log_variances[:3], reference.module.library.log_variances)
    assert np.isclose(library.log_means[3], totals.mean())
    assert np.isclose(library.log_variances[3], totals.var())


def test_missing_genes_are_padded_down_to_the_coverage(make_reference, query):
    reference = make_reference()
    fewer = query[:, [g not in (3, 7) for g in range(12)]].copy()
    with pytest.warns(UserWarning, match="2 of the 12 genes.*'gene3', 'gene7'"):
        model = BetaVAE.load_query_data(fewer, reference)
    assert list(model.adata.var_names[model.adata.var["padded"]]) == ["gene3", "gene7"]
    assert model.adata.X[:, [3, 7]].nnz == 0
    with pytest.raises(ValueError, match="'gene0', 'gene1', 'gene2', 'gene3'"):
        BetaVAE.load_query_data(query[:, 4:].copy(), reference)


def drop(column):
    return lambda adata: adata.obs.__delitem__(column)


def put(column, cell, value):
    def change(adata):
        adata.obs[column] = adata.obs[column].astype(object if column == "batch" else float)
        adata.obs.loc[cell, column] = value

    return change


def empty_cell(adata):
    counts = adata.X.toarray()
    counts[3] = 0
    adata.X = sparse.csr_matrix(counts)


BAD = {
    "missing batch": (put("batch", "cell4", np.nan), ValueError, r"obs\['batch'\].*1 missing.*'cell4'"),
    "missing number": (put("age", "cell4", np.nan), ValueError, r"obs\['age'\].*'cell4'"),
    "no batch column": (drop("batch"), KeyError, "batch_key must name a column"),
    "no covariate": (drop("donor"), KeyError, "categorical_covariate_keys must name a column"),
    "empty cell": (empty_cell, ValueError, "cell3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_queries(make_reference, query, case):
    change, kind, message = BAD[case]
    reference = make_reference()
    change(query)
    with pytest.raises(kind, match=message):
        BetaVAE.load_query_data(query, reference, accelerator="cpu")


def test_bad_references(make_reference, query, tmp_path):
    with pytest.raises(ValueError, match="reference_model must be trained"):
        BetaVAE.load_query_data(query, make_reference(train=False))
    with pytest.raises(TypeError, match="reference_model must be a BetaVAE.*got LinearVAE"):
        BetaVAE.load_query_data(query, make_reference(LinearVAE, n_latent=3, train=False))
    with pytest.raises(TypeError, match="reference_model must be a BetaVAE.*got int"):
        BetaVAE.load_query_data(query, 3)
    with pytest.raises(ValueError, match="must be a model or the directory of one, got '.*nothing'"):
        BetaVAE.load_query_data(query, tmp_path / "nothing")
    reference = make_reference(LinearVAE, n_latent=3)
    reference.save(tmp_path / "linear")
    with pytest.raises(ValueError, match="must be a BetaVAE, got another class, LinearVAE"):
        BetaVAE.load_query_data(query, tmp_path / "linear")
