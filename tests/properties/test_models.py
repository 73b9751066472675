"""Every model: the same latents whatever the format, the batch size, the order of genes and the other cells."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from property_kit import (
    DTYPES,
    FORMATS,
    LABELS,
    SEEDS,
    examples,
    generators,
    label_column,
    names,
    outcome,
    unchanged,
)
from scipy import sparse

from distaff import model as models
from distaff import pp, tl

FAST = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 16}
N_CELLS, N_GENES = 40, 23  # a number of genes that no other size of a model has
SMALL = {"n_hidden": 8}
OPTIONS = {
    "AnnotatedVAE": SMALL,
    "Autoencoder": {"layers": (9, 5), "n_latent": 2},
    "BetaVAE": {"n_latent": 3, **SMALL},
    "FSCLVM": {"n_dense": 1},
    "FactorVAE": {"n_latent": 3, "prior": "spike_slab", "decoder": "linear", "batch_norm": True, **SMALL},
    "LinearVAE": {"n_latent": 3, **SMALL},
    "ProgramVAE": {"n_latent": 3, **SMALL},
    "SparseVAE": {"n_latent": 3, **SMALL},
}
BOOKKEEPING = ("obs/_scvi", "uns/_scvi", "obsm/_scvi")
pytestmark = pytest.mark.filterwarnings(  # of scvi-tools
    "ignore:Category .* has fewer than 3 cells:UserWarning",
    "ignore:Training will be faster when sparse matrix is formatted as CSR:UserWarning",
)
SETS = {"one": [f"gene{i}" for i in range(7)], "two": [f"gene{i}" for i in range(5, 14)]}
TOLERANCE = {"atol": 2e-5, "rtol": 2e-5}  # sums in another order


def test_every_public_name_has_a_test() -> None:
    assert set(models.__all__) == set(OPTIONS)


def counts(seed: int = 0, n_cells: int = N_CELLS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.poisson(rng.gamma(1.0, 2.0, (n_cells, N_GENES))) + (np.arange(N_GENES) == 0)).astype(
        np.float32
    )


def cells(X, genes=None) -> anndata.AnnData:
    obs = pd.DataFrame(
        {"batch": np.array(["a", "b"])[np.arange(X.shape[0]) % 2]}, index=[f"c{i}" for i in range(X.shape[0])]
    )
    adata = anndata.AnnData(
        X, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)] if genes is None else genes)
    )
    pp.gene_sets(adata, SETS, min_genes=2)
    return adata


def built(name: str, adata: anndata.AnnData):
    model_class = getattr(models, name)
    model_class.setup_anndata(adata, batch_key="batch")
    return model_class(adata, **OPTIONS[name])


@pytest.fixture(scope="module")
def trained():
    """Every model after two epochs."""
    found = {}
    for name in OPTIONS:
        found[name] = built(name, cells(sparse.csr_matrix(counts())))
        found[name].train(2, seed=1, **FAST)
    return found


@pytest.fixture(params=OPTIONS)
def name(request) -> str:
    return request.param


@given(data=st.data())
@examples(3)
def test_latents_do_not_depend_on_the_company(name, trained, data) -> None:
    """Nor on the format and type of the counts."""
    model = trained[name]
    X = counts(data.draw(st.integers(0, 99)), data.draw(st.sampled_from([5, 37, N_CELLS])))
    form, kind = data.draw(st.sampled_from(list(FORMATS))), data.draw(st.sampled_from(DTYPES))
    adata, plain = cells(FORMATS[form](X.astype(kind))), cells(sparse.csr_matrix(X))
    states = generators()
    Z = model.get_latent_representation(plain)
    rows = np.flatnonzero(np.random.default_rng(data.draw(SEEDS)).random(len(X)) < 0.5)
    if len(rows):
        np.testing.assert_allclose(model.get_latent_representation(plain, rows), Z[rows], **TOLERANCE)
    np.testing.assert_allclose(model.get_latent_representation(plain, batch_size=3), Z, **TOLERANCE)
    np.testing.assert_allclose(model.get_latent_representation(adata), Z, **TOLERANCE)
    assert generators() == states


def test_training_does_not_depend_on_the_format(name) -> None:
    latents = {}
    for form in FORMATS:
        model = built(name, cells(FORMATS[form](counts())))
        model.train(2, seed=1, **FAST)
        latents[form] = model.get_latent_representation()
    for form, Z in latents.items():
        np.testing.assert_allclose(Z, latents["csr"], atol=1e-3, rtol=1e-3, err_msg=form)


def test_order_of_genes(name, trained) -> None:
    """The same weights in another order of genes say the same."""
    model = trained[name]
    order = np.random.default_rng(0).permutation(N_GENES)
    other = built(name, cells(sparse.csr_matrix(counts()[:, order]), [f"gene{i}" for i in order]))
    weights = {}
    for part, value in model.module.state_dict().items():
        for axis, size in enumerate(value.shape):
            value = value.index_select(axis, torch.as_tensor(order)) if size == N_GENES else value
        weights[part] = value
    other.module.load_state_dict(weights)
    other.is_trained_ = True
    other.module.eval()
    np.testing.assert_allclose(
        other.get_latent_representation(), model.get_latent_representation(), atol=1e-4, rtol=1e-4
    )


@st.composite
def odd_cells(draw: st.DrawFn) -> anndata.AnnData:
    """Counts of any format with odd names and labels of any kind."""
    rng = np.random.default_rng(draw(SEEDS))
    n, n_genes = draw(st.sampled_from([1, 2, 3, 12])), draw(st.sampled_from([1, 2, 7]))
    X = (rng.poisson(1.0, (n, n_genes)) + draw(st.integers(0, 1))).astype(draw(st.sampled_from(DTYPES)))
    odd = draw(st.booleans())
    adata = anndata.AnnData(
        FORMATS[draw(st.sampled_from(list(FORMATS)))](X),
        obs=pd.DataFrame(index=names(rng, n, "cell", odd=odd)),
        var=pd.DataFrame(index=names(rng, n_genes, "gene", odd=odd)),
    )
    for column in ("first", "a/b", ""):
        adata.obs[column] = label_column(draw(st.sampled_from(list(LABELS))), rng, n).array
    adata.layers["raw"] = adata.X.copy()
    adata.obsm["X_pca"] = rng.normal(size=(n, 2))
    return adata


KEYS = st.sampled_from([None, "first", "a/b", "", "absent"])


@given(adata=odd_cells(), data=st.data())
@examples(50)
def test_setup(adata, data) -> None:
    options = {option: data.draw(KEYS, option) for option in ("batch_key", "labels_key", "size_factor_key")}
    options["layer"] = data.draw(st.sampled_from([None, "raw", "absent"]))
    for option in ("categorical_covariate_keys", "continuous_covariate_keys"):
        options[option] = data.draw(
            st.none() | st.lists(KEYS.filter(lambda key: key is not None), max_size=2), option
        )
    setup = models.BetaVAE.setup_anndata
    matrix = adata.X if options["layer"] is None else adata.layers["raw"]
    converted = ("X", "layers/raw") if isinstance(matrix, sparse.sparray) else ()
    with unchanged(adata, but=(*BOOKKEEPING, *converted)):
        done = outcome(lambda: setup(adata, **options) or True, setup, also=(TypeError,))
    if done:
        model = models.BetaVAE(adata, n_latent=2, n_hidden=4)
        trained = outcome(lambda: model.train(1, seed=0, **FAST) or True, models.BetaVAE.train)
        assert trained is None or np.isfinite(model.get_latent_representation()).all()


@given(data=st.data())
@examples(2)
def test_tools_with_a_model(name, trained, data) -> None:
    """What ``tl`` writes of a model into other cells, in any format."""
    model = trained[name]
    X = counts(data.draw(st.integers(0, 99)), data.draw(st.sampled_from([2, 9])))
    adata = cells(
        FORMATS[data.draw(st.sampled_from(list(FORMATS)))](X.astype(data.draw(st.sampled_from(DTYPES))))
    )
    model.get_latent_representation(adata)  # scvi-tools registers cells that it has not seen
    with unchanged(adata, but=("obsm/X_distaff", "obsm/distaff_inclusion", "uns/distaff", *BOOKKEEPING)):
        tl.latent(adata, model)
    with unchanged(adata, but=("varm/distaff_loadings", "uns/distaff")):
        loadings = outcome(lambda: tl.loadings(adata, model) or True, tl.loadings)
    with unchanged(adata, but=("varm/distaff_traversal", "uns/distaff")):
        moved = outcome(lambda: tl.traverse(adata, model) or True, tl.traverse)
    with unchanged(adata, but=("uns/distaff",)):
        tl.factors(adata, model)
    assert np.isfinite(adata.obsm["X_distaff"]).all()
    assert loadings is None or np.isfinite(adata.varm["distaff_loadings"]).all(axis=None)
    assert moved is None or np.isfinite(adata.varm["distaff_traversal"]).all(axis=None)
    assert (loadings or moved) is not None
