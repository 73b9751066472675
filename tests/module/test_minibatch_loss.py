"""The loss on sparse counts, by kernels, is the loss on dense counts, by torch."""

import itertools

import numpy as np
import pytest
import torch
from scipy import sparse

import distaff as ds
from distaff.model import FactorVAE

N_CELLS, N_GENES = 48, 30
ADDITIVE = {"non_negative": True, "rate": "additive"}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(N_CELLS, N_GENES, covariates=True)
    adata.X = sparse.csr_matrix(adata.X)
    names = list(adata.var_names)
    ds.pp.gene_sets(adata, {"one": names[:6], "two": names[4:10]}, min_genes=2)
    return adata


def both(model):
    """Loss and gradients on the same cells and draws, dense and sparse."""
    model.module.train()
    (tensors,) = model._minibatches(None, None, N_CELLS)
    assert tensors["X"].layout is torch.sparse_csr
    results = []
    for x in (tensors["X"].to_dense(), tensors["X"]):
        model.module.zero_grad()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = model.module.minibatch_loss({**tensors, "X": x})
        found.loss.backward()
        gradients = {name: p.grad for name, p in model.module.named_parameters() if p.grad is not None}
        results.append((found, gradients))
    return results


def check(model):
    (dense, expected), (kernel, gradients) = both(model)
    torch.testing.assert_close(kernel.loss, dense.loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(kernel.reconstruction, dense.reconstruction, rtol=2e-6, atol=1e-5)
    assert gradients.keys() == expected.keys()
    largest = max(float(g.abs().max()) for g in expected.values() if g.numel())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=2e-3, atol=1e-4 * largest, msg=name)


CASES = [
    (decoder, likelihood, dispersion, {})
    for decoder, likelihood, dispersion in itertools.product(
        ("mlp", "linear", "additive", "annotated"),
        ("nb", "zinb", "poisson"),
        ("gene", "gene-batch", "gene-label", "gene-cell"),
    )
    if likelihood != "poisson" or dispersion == "gene"
]
CASES += [("linear", likelihood, "gene", {"batch_norm": True}) for likelihood in ("nb", "zinb", "poisson")]
CASES += [("linear", likelihood, "gene-batch", ADDITIVE) for likelihood in ("nb", "zinb")]
CASES += [("linear", "normal", "gene", {}), ("annotated", "nb", "gene", {"mask": "hard", **ADDITIVE})]


@pytest.mark.parametrize(("decoder", "likelihood", "dispersion", "options"), CASES)
def test_sparse_is_dense(adata, decoder, likelihood, dispersion, options):
    FactorVAE.setup_anndata(
        adata,
        batch_key="batch",
        labels_key="label",
        categorical_covariate_keys=["donor"],
        continuous_covariate_keys=["age"],
    )
    prior = "softplus_normal" if "rate" in options else "normal"
    model = FactorVAE(
        adata,
        n_latent=3,
        n_hidden=8,
        prior=prior,
        decoder=decoder,
        likelihood=likelihood,
        dispersion=dispersion,
        dropout_rate=0.0,
        **options,
    )
    check(model)


@pytest.mark.parametrize("use_observed_lib_size", [False, True])
@pytest.mark.parametrize("keys", [{}, {"size_factor_key": "size"}])
def test_library_sizes(adata, keys, use_observed_lib_size):
    FactorVAE.setup_anndata(adata, **keys)
    check(FactorVAE(adata, n_latent=3, n_hidden=8, dropout_rate=0.0, use_observed_lib_size=use_observed_lib_size))


def test_no_tensor_of_cells_and_genes_is_kept_for_the_gradient(adata):
    FactorVAE.setup_anndata(adata)
    model = FactorVAE(adata, n_latent=3, n_hidden=8, decoder="linear", batch_norm=True)
    (tensors,) = model._minibatches(None, None, N_CELLS)
    sizes = []

    def record(tensor):
        sizes.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        model.module.minibatch_loss(tensors)
    assert sizes
    assert torch.Size([N_CELLS, N_GENES]) not in sizes


def test_counts_that_are_no_integers(adata):
    adata.X = adata.X.multiply(0.37).tocsr()
    FactorVAE.setup_anndata(adata, allow_non_integer=True)
    check(FactorVAE(adata, n_latent=3, n_hidden=8, dropout_rate=0.0))


def test_an_entry_that_is_stored_twice_counts_twice(adata):
    X = adata.X
    adata.X = 2 * X
    FactorVAE.setup_anndata(adata)
    model = FactorVAE(adata, n_latent=3, n_hidden=8)
    model.train(1, seed=0, accelerator="cpu", enable_progress_bar=False)
    twice = adata.copy()
    entries = np.repeat(X.data, 2), np.repeat(X.indices, 2), 2 * X.indptr
    twice.X = sparse.csr_matrix(entries, shape=X.shape)
    Z = model.get_latent_representation()
    assert np.array_equal(model.get_latent_representation(twice), Z)
    assert twice.X.nnz == 2 * X.nnz
