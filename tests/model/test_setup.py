"""Every fault of the data is answered at setup, names the place and the way out, and changes nothing."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from distaff.model import BetaVAE


def fault_nan(adata):
    adata.X = adata.X.toarray()
    adata.X[3, 5] = np.nan


def fault_inf(adata):
    adata.X.data[0] = np.inf


def fault_negative(adata):
    adata.X = adata.X.toarray()
    adata.X[2, 1] = -0.5


def fault_log(adata):
    adata.X = adata.X.log1p()


def fault_one_fraction(adata):
    adata.X = adata.X.toarray()
    adata.X[59, 19] = 0.5


def fault_zeros(adata):
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)


def fault_empty_cell(adata):
    X = adata.X.toarray()
    X[7] = 0
    adata.X = sparse.csr_matrix(X)


def fault_duplicated(adata):
    adata.var_names = ["g0", "g0", *adata.var_names[2:]]


def fault_no_x(adata):
    adata.X = None


FAULTS = {
    "NaN": (
        fault_nan,
        ValueError,
        r"adata.X must be finite, got nan for cell 'cell3', gene 'gene5'\. Remove",
    ),
    "inf": (fault_inf, ValueError, r"adata.X must be finite, got inf for cell 'cell0', gene 'gene0'"),
    "negative": (
        fault_negative,
        ValueError,
        r"must not be negative, got -0.5 for cell 'cell2', gene 'gene1'\. Give raw",
    ),
    "log": (
        fault_log,
        ValueError,
        r"must hold counts \(whole numbers\), got .* for cell 'cell0', .* such values\)\. Give raw",
    ),
    "one fraction": (
        fault_one_fraction,
        ValueError,
        r"got 0.5 for cell 'cell59', gene 'gene19'\. .*allow_non_integer",
    ),
    "all zero": (fault_zeros, ValueError, r"adata.X must hold counts, got zeros only"),
    "empty cell": (
        fault_empty_cell,
        ValueError,
        r"Every cell .* got 1 empty cells, the first 'cell7'. Remove them: sc",
    ),
    "duplicated genes": (
        fault_duplicated,
        ValueError,
        r"var_names must be unique, got 1 repeated gene names: 'g0'",
    ),
    "no X": (fault_no_x, ValueError, r"adata.X must hold counts, got None. Name the layer"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_faults_of_the_counts(make_adata, fault):
    spoil, kind, message = FAULTS[fault]
    adata = make_adata()
    spoil(adata)
    before = adata.copy()
    with pytest.raises(kind, match=message):
        BetaVAE.setup_anndata(adata)
    assert list(adata.obs) == list(before.obs)
    assert not adata.uns


@pytest.mark.parametrize("fault", ["NaN", "negative", "log", "all zero", "empty cell"])
def test_faults_of_a_layer(make_adata, fault):
    spoil, kind, _ = FAULTS[fault]
    adata = make_adata()
    good = adata.X.copy()
    spoil(adata)
    adata.layers["bad"], adata.X = adata.X, good
    with pytest.raises(kind, match=r"adata.layers\['bad'\]"):
        BetaVAE.setup_anndata(adata, layer="bad")
    BetaVAE.setup_anndata(adata)


def test_a_view(make_adata):
    with pytest.raises(ValueError, match=r"adata must not be a view.*Use adata.copy\(\)"):
        BetaVAE.setup_anndata(make_adata()[:20])


def test_one_cell(make_adata):
    with pytest.raises(ValueError, match="adata must have at least 2 cells, got 1"):
        BetaVAE.setup_anndata(make_adata()[:1].copy())


def test_no_genes(make_adata):
    with pytest.raises(ValueError, match="adata must have at least 1 gene, got 0"):
        BetaVAE.setup_anndata(make_adata()[:, :0].copy())


@pytest.mark.parametrize(
    "argument",
    [
        {"batch_key": "nope"},
        {"labels_key": "nope"},
        {"size_factor_key": "nope"},
        {"categorical_covariate_keys": ["donor", "nope"]},
        {"continuous_covariate_keys": ["nope"]},
    ],
)
def test_missing_columns(make_adata, argument):
    (name,) = argument
    with pytest.raises(KeyError, match=f"{name} must name a column of adata.obs, got 'nope'.*'batch'"):
        BetaVAE.setup_anndata(make_adata(covariates=True), **argument)


def test_missing_layer(make_adata):
    adata = make_adata()
    adata.layers["counts"] = adata.X.copy()
    with pytest.raises(
        KeyError, match="layer must name a layer of adata, got 'nope'. The layers are 'counts'"
    ):
        BetaVAE.setup_anndata(adata, layer="nope")


@pytest.mark.parametrize("argument", ["batch_key", "labels_key", "categorical_covariate_keys"])
def test_missing_values_of_a_category(make_adata, argument):
    adata = make_adata(covariates=True)
    adata.obs.loc["cell4", "batch"] = np.nan
    value = ["batch"] if argument.endswith("keys") else "batch"
    with pytest.raises(
        ValueError, match=rf"adata.obs\['batch'\] \({argument}\).*got 1 missing, the first for cell 'cell4'"
    ):
        BetaVAE.setup_anndata(adata, **{argument: value})


def test_faults_of_numbers(make_adata):
    adata = make_adata(covariates=True)
    with pytest.raises(
        ValueError, match=r"adata.obs\['batch'\] \(continuous_covariate_keys\) must hold numbers"
    ):
        BetaVAE.setup_anndata(adata, continuous_covariate_keys=["batch"])
    adata.obs.loc["cell3", "age"] = np.inf
    with pytest.raises(ValueError, match=r"adata.obs\['age'\] .* must be finite, got inf for cell 'cell3'"):
        BetaVAE.setup_anndata(adata, continuous_covariate_keys=["age"])
    adata.obs.loc["cell8", "size"] = 0.0
    with pytest.raises(
        ValueError, match=r"Size factors \(adata.obs\['size'\]\) must be > 0, got 0.0 for cell 'cell8'"
    ):
        BetaVAE.setup_anndata(adata, size_factor_key="size")


def test_a_string_where_a_list_is_due(make_adata):
    with pytest.raises(TypeError, match=r"must be a list of columns, got 'donor'. Write \['donor'\]"):
        BetaVAE.setup_anndata(make_adata(covariates=True), categorical_covariate_keys="donor")


def test_a_typo_in_an_argument(make_adata):
    with pytest.raises(TypeError, match="unexpected keyword argument 'batchkey'"):
        BetaVAE.setup_anndata(make_adata(), batchkey="batch")


def as_csr_array(X):
    return sparse.csr_array(X)


def as_csc(X):
    return X.tocsc()


def as_int64(X):
    return X.astype(np.int64)


def as_float64(X):
    return X.astype(np.float64)


def as_dense(X):
    return X.toarray()


def as_fortran(X):
    return np.asfortranarray(X.toarray())


@pytest.mark.parametrize("convert", [as_csr_array, as_csc, as_int64, as_float64, as_dense, as_fortran])
@pytest.mark.filterwarnings("ignore:Training will be faster when sparse matrix is formatted as CSR")
def test_formats_give_the_same_latent(make_adata, convert):
    reference, adata = make_adata(), make_adata()
    counts = reference.X.toarray()
    adata.X = convert(adata.X)
    latents = []
    for data in (reference, adata):
        BetaVAE.setup_anndata(data)
        model = BetaVAE(data, n_latent=2, n_hidden=8)
        model.train(1, seed=0, batch_size=32, accelerator="cpu", enable_progress_bar=False)
        latents.append(model.get_latent_representation())
    np.testing.assert_array_equal(*latents)
    X = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    np.testing.assert_array_equal(X, counts)


@pytest.mark.parametrize("as_sparse", [True, False])
def test_backed_data(make_adata, tmp_path, as_sparse):
    adata = make_adata()
    if not as_sparse:
        adata.X = adata.X.toarray()
    adata.write_h5ad(tmp_path / "data.h5ad")
    backed = anndata.read_h5ad(tmp_path / "data.h5ad", backed="r")
    BetaVAE.setup_anndata(backed)
    model = BetaVAE(backed, n_latent=2, n_hidden=8)
    model.train(1, seed=0, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    assert model.get_latent_representation().shape == (60, 2)
    adata.X = adata.X.toarray() if as_sparse else adata.X
    adata.X[9, 9] = -1.0
    adata.write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(ValueError, match="got -1.0 for cell 'cell9', gene 'gene9'"):
        BetaVAE.setup_anndata(anndata.read_h5ad(tmp_path / "bad.h5ad", backed="r"))


def test_huge_counts_warn_and_work(make_adata):
    adata = make_adata()
    adata.X.data[0] = 1e12
    with pytest.warns(UserWarning, match="adata.X holds counts up to 1e"):
        BetaVAE.setup_anndata(adata)


def test_real_values_on_request(make_adata):
    adata = make_adata()
    adata.X = adata.X.toarray() - 1.5
    BetaVAE.setup_anndata(adata, allow_non_integer=True)
    model = BetaVAE(adata, n_latent=2, n_hidden=8, likelihood="normal")
    model.train(2, seed=0, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    assert np.isfinite(float(model.get_elbo()))
    with pytest.raises(ValueError, match="adata.X must not be negative, got -1.5"):
        BetaVAE(adata, likelihood="nb")
    adata.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite, got nan for cell 'cell0'"):
        BetaVAE.setup_anndata(adata, allow_non_integer=True)


def test_corrected_counts_on_request(make_adata):
    adata = make_adata()
    adata.X = adata.X * 0.9
    BetaVAE.setup_anndata(adata, allow_non_integer=True)
    model = BetaVAE(adata, n_latent=2, n_hidden=8)
    model.train(1, seed=0, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    assert np.isfinite(model.get_latent_representation()).all()


@pytest.mark.parametrize("as_", ["reordered", "text", "ordered"])
def test_the_order_of_categories_in_the_data_plays_no_part(make_adata, tmp_path, as_):
    adata = make_adata(60, 12, covariates=True)
    BetaVAE.setup_anndata(adata, batch_key="batch", categorical_covariate_keys=["donor", "label"])
    model = BetaVAE(adata, n_latent=3, n_hidden=8, encode_covariates=True)
    model.train(3, seed=0, lr=1e-2, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    other = make_adata(60, 12, covariates=True)
    for key in ("batch", "donor", "label"):
        column = other.obs[key].astype(str)
        order = sorted(column.unique(), reverse=True)
        types = {"reordered": pd.CategoricalDtype(order), "ordered": pd.CategoricalDtype(order, ordered=True)}
        other.obs[key] = column.astype(types.get(as_, str))
    before = other.obs.copy()
    expected = model.get_latent_representation()
    assert np.array_equal(model.get_latent_representation(other.copy()), expected)
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata=other)
    assert np.array_equal(loaded.get_latent_representation(), expected)
    query = BetaVAE.load_query_data(other, model, accelerator="cpu")
    assert np.array_equal(query.get_latent_representation(), expected)
    pd.testing.assert_frame_equal(other.obs[list(before)], before)


def test_a_new_category_that_sorts_first_leaves_the_others_where_they_are(make_adata):
    adata = make_adata(60, 12, covariates=True)
    BetaVAE.setup_anndata(adata, categorical_covariate_keys=["donor"])
    model = BetaVAE(adata, n_latent=3, n_hidden=8, encode_covariates=True)
    fast = {"seed": 0, "lr": 1e-2, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
    model.train(3, **fast)
    new = make_adata(60, 12, covariates=True)
    new.obs["donor"] = pd.Categorical(["a new one"] * 4 + [str(name) for name in new.obs["donor"][4:]])
    query = BetaVAE.load_query_data(new, model, accelerator="cpu")
    query.train(1, **fast)
    assert np.array_equal(query.get_latent_representation()[4:], model.get_latent_representation()[4:])
