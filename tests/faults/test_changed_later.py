"""The AnnData of a model belongs to its user: what is changed in place after the setup is noticed."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

SETUP = {
    "batch_key": "batch",
    "categorical_covariate_keys": ["donor"],
    "continuous_covariate_keys": ["age"],
    "size_factor_key": "size",
}
ANEW = r"Call setup_anndata and build the model anew"


def normalise(adata):
    sc.pp.normalize_total(adata, target_sum=1e4)


def log(adata):
    sc.pp.log1p(adata)


def scale(adata):
    adata.X = adata.X.toarray()
    adata.X = (adata.X - adata.X.mean(0)) / adata.X.std(0)


def one_value(adata):
    adata.X.data[0] = 0.5


def no_counts(adata):
    adata.X = None


def reverse_genes(adata):
    adata._inplace_subset_var(np.arange(adata.n_vars)[::-1])


def fewer_genes(adata):
    adata._inplace_subset_var(np.arange(15))


def no_cells(adata):
    adata._inplace_subset_obs(np.zeros(adata.n_obs, dtype=bool))


def mix_batches(adata):
    adata.obs["batch"] = np.sort(adata.obs["batch"].to_numpy())


def one_batch(adata):
    adata.obs["batch"] = "all"


def mix_donors(adata):
    adata.obs["donor"] = np.sort(adata.obs["donor"].to_numpy())


def older(adata):
    adata.obs["age"] += 1.0


def missing_ages(adata):
    adata.obs["age"] = np.nan


def no_size(adata):
    adata.obs["size"] = 0.0


def drop_size(adata):
    del adata.obs["size"]


def drop_codes(adata):
    del adata.obs["_scvi_batch"]


def drop_covariates(adata):
    del adata.obsm["_scvi_extra_continuous_covs"]


def pretend(model):
    """Have a model answer without training: of its weights nothing is asked here."""
    model.is_trained_ = True
    model.module.eval()


CHANGES = {
    "normalised": (normalise, ValueError, r"adata.X must hold counts \(whole numbers\), got .* for cell 'cell0'"),
    "log": (log, ValueError, r"adata.X must hold counts \(whole numbers\)"),
    "scaled": (scale, ValueError, "adata.X must not be negative"),
    "one value": (one_value, ValueError, "whole numbers.*got 0.5 for cell 'cell0'"),
    "counts removed": (no_counts, ValueError, "adata.X must hold counts, got None"),
    "genes reversed": (reverse_genes, ValueError, "genes of the model in its order.*got 'gene19' at position 0, where the model has 'gene0'"),
    "fewer genes": (fewer_genes, ValueError, "adata must have the 20 genes of the model, got 15 genes, 5 of the model's missing: 'gene15'"),
    "no cells": (no_cells, ValueError, "adata must have at least 1 cell, got 0"),
    "batches mixed": (mix_batches, ValueError, rf"adata.obs\['batch'\] must stay as it is, got other values than those .*{ANEW}"),
    "one batch": (one_batch, ValueError, r"adata.obs\['batch'\] must stay as it is"),
    "donors mixed": (mix_donors, ValueError, r"adata.obs\['donor'\] must stay as it is"),
    "another age": (older, ValueError, r"adata.obs\['age'\] must stay as it is"),
    "missing ages": (missing_ages, ValueError, r"adata.obs\['age'\] must stay as it is"),
    "no size factor": (no_size, ValueError, r"Size factors \(adata.obs\['size'\]\) must be > 0, got 0.0 for cell 'cell0'"),
    "size factor removed": (drop_size, KeyError, "adata.obs must hold 'size', which the model was set up with"),
    "codes removed": (drop_codes, KeyError, f"adata.obs must hold '_scvi_batch', which the model was set up with, got .*{ANEW}"),
    "covariates removed": (drop_covariates, KeyError, "adata.obsm must hold '_scvi_extra_continuous_covs'"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_before_training(cells, build, fast, change):
    spoil, error, message = CHANGES[change]
    adata = cells()
    model = build("BetaVAE", adata, setup=SETUP)
    spoil(adata)
    with pytest.raises(error, match=message):
        model.train(1, **fast)
    assert not model.is_trained_


@pytest.mark.parametrize("change", CHANGES)
def test_after_training(cells, build, change):
    spoil, error, message = CHANGES[change]
    adata = cells()
    model = build("BetaVAE", adata, setup=SETUP)
    pretend(model)
    model.get_latent_representation()
    spoil(adata)
    for ask in (model.get_latent_representation, model.get_elbo, model.get_normalized_expression):
        with pytest.raises(error, match=message):
            ask()


@pytest.mark.parametrize("change", ["normalised", "genes reversed", "batches mixed"])
def test_every_model(cells, build, fast, model_name, change):
    spoil, error, message = CHANGES[change]
    adata = cells()
    model = build(model_name, adata)
    spoil(adata)
    with pytest.raises(error, match=message):
        model.train(1, **fast)
    pretend(model)
    with pytest.raises(error, match=message):
        model.get_latent_representation()


def rename_batches(adata):
    adata.obs["batch"] = adata.obs["batch"].cat.rename_categories({"b0": "first"})


def drop_batches(adata):
    del adata.obs["batch"]


def rename_genes(adata):
    adata.var_names = [f"symbol{i}" for i in range(adata.n_vars)]


def annotate(adata):
    adata.obs["label"] = "new"
    adata.obs["more"] = 1
    adata.layers["log"] = adata.X.log1p()


def fewer_cells(adata):
    adata._inplace_subset_obs(np.arange(40))


def other_format(adata):
    adata.X = adata.X.toarray()


def other_type(adata):
    adata.X = adata.X.tocsc().astype(np.int64)


def other_order(adata):
    """Entries of each row from the last to the first, as some tools leave them."""
    X = adata.X
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.data[start:stop], X.indices[start:stop] = X.data[start:stop][::-1], X.indices[start:stop][::-1]


HARMLESS = [rename_batches, drop_batches, rename_genes, annotate, other_format, other_type, other_order]


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes(cells, build, change):
    adata = cells()
    model = build("BetaVAE", adata, setup={"batch_key": "batch", "labels_key": "label"})
    pretend(model)
    expected = model.get_latent_representation()
    change(adata)
    np.testing.assert_allclose(model.get_latent_representation(), expected, atol=1e-6)


def test_fewer_cells(cells, build):
    adata = cells()
    model = build("BetaVAE", adata)
    pretend(model)
    expected = model.get_latent_representation()
    fewer_cells(adata)
    np.testing.assert_allclose(model.get_latent_representation(), expected[:40], atol=1e-6)


def other_counts(adata):
    adata.X = adata.X[::-1].copy()[::-1] * 2


def mixed_counts(adata):
    adata.X.data[:] = np.random.default_rng(0).permutation(adata.X.data)


def two_counts_swapped(adata):
    data = adata.X.data
    other = int(np.flatnonzero(data != data[0])[0])
    data[[0, other]] = data[[other, 0]]


def another_gene(adata):
    """One count is another gene's: the values and their number are as before."""
    i = int(np.flatnonzero(np.diff(adata.X.indptr) < adata.n_vars)[0])
    row = adata.X.indices[adata.X.indptr[i] : adata.X.indptr[i + 1]]
    gone = np.setdiff1d(np.arange(adata.n_vars), row)[0]
    row[np.argmin(np.abs(row.astype(int) - gone))] = gone


def cells_mixed(adata):
    adata.X = adata.X[np.r_[1, 0, 2 : adata.n_obs]]


@pytest.mark.parametrize("form", ["csr", "dense"])
@pytest.mark.parametrize(
    "change", [other_counts, mixed_counts, two_counts_swapped, another_gene, cells_mixed]
)
def test_other_counts_are_worth_a_warning(cells, build, change, form):
    adata, other = cells(), cells()
    change(other)
    if form == "dense":
        adata.X = adata.X.toarray()
        other.X = other.X.toarray()
    model = build("BetaVAE", adata)
    pretend(model)
    adata.X = other.X
    with pytest.warns(UserWarning, match=f"adata.X is not what it was when the model was set up. {ANEW}"):
        model.get_latent_representation()
    model.get_latent_representation()  # once is enough


def test_two_models_on_the_same_data(cells, build):
    """Each setup writes the same slots; a model whose turn has passed sets up anew what is its own."""
    adata = cells()
    first = build("BetaVAE", adata, encode_covariates=True)
    pretend(first)
    expected = first.get_latent_representation()
    build("LinearVAE", adata, setup={"batch_key": "donor"})
    np.testing.assert_array_equal(first.get_latent_representation(), expected)


def test_other_cells_that_change_between_two_calls(cells, build):
    model = build("BetaVAE", cells(), encode_covariates=True)
    pretend(model)
    query = cells(seed=3)
    model.get_latent_representation(query)
    query.obs["batch"] = pd.Categorical(["b2"] * 60)
    found = model.get_latent_representation(query)
    np.testing.assert_array_equal(found, model.get_latent_representation(query.copy()))
