"""Arguments of the models, and of the methods that read a trained one."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from distaff import model

NETWORKS = ["Autoencoder", "BetaVAE", "FactorVAE", "LinearVAE", "ProgramVAE", "SparseVAE"]
SIZES = {
    "0": (0, ValueError, "n_latent must be >= 1, got 0"),
    "-3": (-3, ValueError, "n_latent must be >= 1, got -3"),
    "True": (True, TypeError, "n_latent must be an integer, got True"),
    "1.5": (1.5, TypeError, "n_latent must be an integer, got 1.5"),
    "3.0": (3.0, TypeError, "n_latent must be an integer, got 3.0"),
    "text": ("3", TypeError, "n_latent must be an integer, got '3'"),
    "None": (None, TypeError, "n_latent must be an integer, got None"),
    "NaN": (np.nan, TypeError, "n_latent must be an integer, got nan"),
}


@pytest.fixture(scope="module")
def registered():
    """Data that were set up for a class, once for all its tests."""
    return {}


@pytest.fixture
def make(registered, cells):
    def make(name, **arguments):
        if name not in registered:
            registered[name] = cells()
            getattr(model, name).setup_anndata(registered[name])
        return getattr(model, name)(registered[name], **arguments)

    return make


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", SIZES)
def test_number_of_dimensions(make, name, size):
    value, error, message = SIZES[size]
    with pytest.raises(error, match=message):
        make(name, n_latent=value)


def test_more_factors_than_a_start_can_give(make, fast):
    with pytest.raises(ValueError, match=r"must have at most min\(cells, genes\) = 20 factors, got 50"):
        make("ProgramVAE", n_latent=50).train(1, **fast)


CHOICES = [  # class, argument, value, error, message
    ("BetaVAE", "n_hidden", 0, ValueError, "n_hidden must be >= 1, got 0"),
    ("BetaVAE", "n_layers", 1.5, TypeError, "n_layers must be an integer, got 1.5"),
    ("BetaVAE", "beta", -1, ValueError, "beta must be >= 0, got -1.0"),
    ("BetaVAE", "beta", np.nan, ValueError, "beta must be finite, got nan"),
    ("BetaVAE", "capacity", np.inf, ValueError, "capacity must be finite, got inf"),
    ("BetaVAE", "dropout_rate", 1.0, ValueError, "dropout_rate must be < 1, got 1.0"),
    ("BetaVAE", "likelihood", "NB", ValueError, "likelihood must be one of 'nb', .*, got 'NB'"),
    ("ProgramVAE", "likelihood", "zinp", ValueError, "likelihood must be one of 'nb', 'zinb', 'poisson', 'normal', got 'zinp'"),
    ("ProgramVAE", "likelihood", "normal", ValueError, "one of 'nb', 'zinb', 'poisson' with init='nmf', got 'normal'. Pass init=None"),
    ("BetaVAE", "dispersion", "gene-batch", ValueError, "must have two groups or more, got one. Pass batch_key"),
    ("BetaVAE", "use_observed_lib_size", "no", TypeError, "use_observed_lib_size must be True or False, got 'no'"),
    ("BetaVAE", "encode_covariates", 3, TypeError, "encode_covariates must be True or False, got 3"),
    ("BetaVAE", "nlatent", 3, TypeError, "unexpected keyword argument 'nlatent'"),
    ("LinearVAE", "batch_norm", "yes", TypeError, "batch_norm must be True or False, got 'yes'"),
    ("LinearVAE", "latent", "gamma", ValueError, "latent must be one of 'normal', 'logistic_normal', got 'gamma'"),
    ("SparseVAE", "alpha", 1, ValueError, "alpha must be < 1, got 1.0"),
    ("SparseVAE", "alpha", 0, ValueError, "alpha must be > 0, got 0.0"),
    ("SparseVAE", "target_active", 99, ValueError, "target_active must be < 32, got 99.0"),
    ("SparseVAE", "prior", "vamp", ValueError, "prior must be one of 'fixed', 'pseudo_input', got 'vamp'"),
    ("SparseVAE", "slab_warmup", 2, TypeError, "slab_warmup must be True or False, got 2"),
    ("FactorVAE", "prior", "gamma", ValueError, "prior must be one of 'normal', .*, got 'gamma'"),
    ("FactorVAE", "gate", "no", TypeError, "gate must be True or False, got 'no'"),
    ("FactorVAE", "non_negative", "no", TypeError, "non_negative must be True or False, got 'no'"),
    ("FactorVAE", "dip", (1.0,), ValueError, r"dip must be a pair of weights .*, got \(1.0,\)"),
    ("FactorVAE", "total_correlation", np.nan, ValueError, "total_correlation must be finite, got nan"),
    ("FactorVAE", "init", "pca", ValueError, "init must be None, got 'pca' with decoder='mlp'. A start needs"),
    ("Autoencoder", "layers", (), ValueError, r"layers must be a sequence of widths, got \(\)"),
    ("Autoencoder", "layers", (8, 1.5), TypeError, "Width in layers must be an integer, got 1.5"),
    ("AnnotatedVAE", "set_key", "nope", KeyError, "set_key must name a table of gene sets .*, got 'nope'. Run distaff.pp.gene_sets first; there are 'gene_sets'"),
    ("AnnotatedVAE", "n_sparse", -1, ValueError, "n_sparse must be >= 0, got -1"),
    ("AnnotatedVAE", "lambda_group", np.nan, ValueError, "lambda_group must be finite, got nan"),
    ("AnnotatedVAE", "mask", "firm", ValueError, "mask must be one of 'soft', 'hard', got 'firm'"),
    ("AnnotatedVAE", "init", "ica", ValueError, "init must be non-negative for gene sets, got 'ica'"),
    ("FSCLVM", "set_key", 3, KeyError, "set_key must name a table of gene sets .*, got 3"),
    ("FSCLVM", "n_dense", True, TypeError, "n_dense must be an integer, got True"),
    ("FSCLVM", "fpr", 2, ValueError, "fpr must be < 1, got 2.0"),
    ("FSCLVM", "fnr", np.nan, ValueError, "fnr must be finite, got nan"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "argument", "value", "error", "message"), CHOICES)
def test_choices(make, name, argument, value, error, message):
    with pytest.raises(error, match=message):
        make(name, **{argument: value})


MASKS = {
    "text": (np.full((20, 2), "a"), "must be a table of numbers .*, got could not convert"),
    "NaN": (np.full((20, 2), np.nan), "must be finite, got missing or infinite weights"),
    "an empty set": (np.eye(20)[:, :2] * [1, 0], "must have genes, got 1 empty sets: 'Set 2'. Run distaff.pp.gene_sets"),
    "a name twice": (lambda names: pd.DataFrame(np.ones((20, 2)), names, ["a", "a"]), "must have names of their own, got 'a' more than once"),
    "no set": (np.ones((20, 0)), "must have genes, got no sets"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [model.AnnotatedVAE, model.FSCLVM])
@pytest.mark.parametrize("fault", MASKS)
def test_tables_of_gene_sets(cells, kind, fault):
    table, message = MASKS[fault]
    adata = cells()
    kind.setup_anndata(adata)
    adata.varm["gene_sets"] = table(adata.var_names) if callable(table) else table
    with pytest.raises(ValueError, match=r"adata.varm\['gene_sets'\] " + message):
        kind(adata)


@pytest.mark.parametrize("kind", [model.AnnotatedVAE, model.FSCLVM])
def test_a_sparse_table_of_gene_sets(cells, kind):
    adata = cells()
    kind.setup_anndata(adata)
    expected = kind(adata).get_loadings().shape
    adata.varm["gene_sets"] = sparse.csr_matrix(adata.varm["gene_sets"].to_numpy())
    assert kind(adata).get_loadings().shape == expected


UNSET = "Please set up your AnnData with {}.setup_anndata first"


def test_data_that_were_never_set_up(kind, cells):
    with pytest.raises(ValueError, match=UNSET.format(kind.__name__)):
        kind(cells())


def test_data_that_were_set_up_for_another_class(kind, cells):
    adata = cells()
    (model.LinearVAE if kind is not model.LinearVAE else model.BetaVAE).setup_anndata(adata)
    with pytest.raises(ValueError, match=UNSET.format(kind.__name__) + ".*different model"):
        kind(adata)


READS = {
    "beyond the last cell": ({"indices": [60]}, IndexError, "indices must be below the 60 cells, got 60. Give positions of cells"),
    "before the first cell": ({"indices": [-61]}, IndexError, "indices must be below the 60 cells, got -61"),
    "fractions": ({"indices": [1.5, 2]}, TypeError, "indices must be a list of whole numbers, got dtype float64"),
    "names": ({"indices": ["cell1"]}, TypeError, "indices must be a list of whole numbers, got dtype <U5"),
    "one number": ({"indices": 3}, TypeError, "indices must be a list of whole numbers, got 0 dimensions"),
    "a table": ({"indices": [[0, 1]]}, TypeError, "indices must be a list of whole numbers, got 2 dimensions"),
    "few truth values": ({"indices": [True] * 3}, ValueError, "indices must hold 60 truth values, got 3"),
    "none": ({"indices": []}, ValueError, "at least one cell"),
    "no minibatch": ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    "negative minibatch": ({"batch_size": -1}, ValueError, "batch_size must be >= 1, got -1"),
    "half a minibatch": ({"batch_size": 1.5}, TypeError, "batch_size must be an integer, got 1.5"),
    "negative seed": ({"seed": -1}, ValueError, "seed must be >= 0, got -1"),
    "seed as text": ({"seed": "a"}, TypeError, "seed must be an integer, got 'a'"),
    "no AnnData": ({"adata": pd.DataFrame()}, TypeError, "adata must be an AnnData, got DataFrame"),
}  # fmt: skip


@pytest.mark.parametrize("fault", READS)
def test_reading_the_latent(trained, fault):
    arguments, error, message = READS[fault]
    with pytest.raises(error, match=message):
        trained("BetaVAE").get_latent_representation(**arguments)


def test_positions_from_the_end(trained):
    found = trained("BetaVAE")
    expected = found.get_latent_representation()[-2:]
    np.testing.assert_allclose(found.get_latent_representation(indices=[-2, -1]), expected, atol=1e-6)


NUMBERED = {
    "get_marginal_ll": {"n_mc_samples": 4, "batch_size": 16},
    "get_normalized_expression": {"n_samples": 2, "batch_size": 16},
    "posterior_predictive_sample": {"n_samples": 2, "batch_size": 16},
    "differential_expression": {"groupby": "label", "batch_size": 16},
    "get_feature_correlation_matrix": {"n_samples": 2, "batch_size": 16},
    "get_latent_library_size": {"batch_size": 16, "give_mean": False},
    "get_latent_representation": {"batch_size": 16},
    "get_elbo": {"batch_size": 16},
    "get_reconstruction_error": {"batch_size": 16},
}


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_of_numpy(trained, name):
    arguments, model = NUMBERED[name], trained("BetaVAE")
    numpy = {key: np.int64(value) if type(value) is int else value for key, value in arguments.items()}
    plain, other = (getattr(model, name)(seed=0, **given) for given in (arguments, numpy))
    if name == "posterior_predictive_sample":
        plain, other = plain.todense(), other.todense()
    np.testing.assert_array_equal(np.asarray(plain), np.asarray(other))


CALLS = {
    "no sample": ("get_normalized_expression", {"n_samples": 0}, ValueError, "n_samples must be >= 1, got 0"),
    "negative samples": ("posterior_predictive_sample", {"n_samples": -1}, ValueError, "n_samples must be >= 1, got -1"),
    "half a sample": ("posterior_predictive_sample", {"n_samples": 1.5}, TypeError, "n_samples must be an integer, got 1.5"),
    "no draw": ("get_marginal_ll", {"n_mc_samples": 0}, ValueError, "n_mc_samples must be >= 1, got 0"),
    "true draws": ("get_marginal_ll", {"n_mc_samples": True}, TypeError, "n_mc_samples must be an integer, got True"),
    "negative library": ("get_normalized_expression", {"library_size": -1}, ValueError, "library_size must be > 0, got -1.0"),
    "NaN for a library": ("get_normalized_expression", {"library_size": np.nan}, ValueError, "library_size must be finite, got nan"),
    "no such gene": ("get_normalized_expression", {"gene_list": ["nope", "gene1"]}, KeyError, "gene_list must name genes of the model, got 1 others: 'nope'"),
    "a gene for a list": ("get_normalized_expression", {"gene_list": "gene1"}, TypeError, r"gene_list must be a list, got 'gene1'. Write \['gene1'\]"),
    "no such batch": ("get_normalized_expression", {"transform_batch": "nope"}, ValueError, "transform_batch must name batches of the model, got 'nope'. There are 'b0', 'b1', 'b2'"),
    "no such column": ("differential_expression", {"groupby": "nope"}, KeyError, "groupby must name a column of adata.obs, got 'nope'"),
    "no such group": ("differential_expression", {"groupby": "label", "group1": "nope"}, KeyError, r"group1 must name groups of adata.obs\['label'\], got 'nope'. There are 'l0', 'l1'"),
    "no groups": ("differential_expression", {}, ValueError, "Groups of cells must be given, got neither groupby nor idx1. Give groupby"),
    "a column of measurements": ("differential_expression", {"groupby": "age"}, ValueError, r"groupby must name a column of groups, got fractions in 'age'. Cut it into intervals"),
    "beyond the last cell": ("differential_expression", {"idx1": [99]}, IndexError, "idx1 must be below the 60 cells, got 99"),
    "a rate above one": ("differential_expression", {"groupby": "label", "fdr_target": 2}, ValueError, "fdr_target must be < 1, got 2.0"),
    "no such weights": ("get_normalized_expression", {"weights": "x"}, ValueError, "weights must be one of 'uniform', 'importance', got 'x'"),
    "no such correlation": ("get_feature_correlation_matrix", {"correlation_type": "x"}, ValueError, "correlation_type must be one of 'spearman', 'pearson', got 'x'"),
    "no data": ("get_marginal_ll", {"adata": "cells.h5ad"}, TypeError, "adata must be an AnnData, got str"),
    "ragged positions": ("get_marginal_ll", {"indices": [[0], [1, 2]]}, TypeError, "indices must be a list of whole numbers, got 2 dimensions"),
    "a number for genes": ("get_normalized_expression", {"gene_list": 5}, TypeError, "gene_list must be a list of genes, got 5"),
    "tables for batches": ("get_normalized_expression", {"transform_batch": [pd.DataFrame({"a": [1, 2]})]}, ValueError, "transform_batch must name batches of the model"),
    "a table for a flag": ("get_marginal_ll", {"return_mean": pd.Series([1, 2])}, TypeError, "return_mean must be True or False, got 0 1 1 2 dtype: int64"),
    "a text for minibatches": ("get_marginal_ll", {"dataloader": "cells.h5ad"}, TypeError, "dataloader must give minibatches, dicts of tensors, got str"),
    "a number for minibatches": ("get_elbo", {"dataloader": 3}, TypeError, "dataloader must give minibatches, dicts of tensors, got int"),
    "lists for minibatches": ("get_latent_representation", {"dataloader": [[1]]}, TypeError, r"Minibatches must be dicts with counts \('X'\), got list"),
    "a list of options": ("get_marginal_ll", {"data_loader_kwargs": [1]}, TypeError, r"data_loader_kwargs must be a dict, got \[1\]"),
    "no samples": ("differential_abundance", {}, KeyError, "sample_key must name a column of adata.obs, got None"),
    "no column of samples": ("differential_abundance", {"sample_key": ["donor"]}, KeyError, r"sample_key must name a column of adata.obs, got \['donor'\]"),
    "no cell of a sample": ("differential_abundance", {"sample_key": "donor", "num_cells_posterior": 0}, ValueError, "num_cells_posterior must be >= 1, got 0"),
    "no minibatch of samples": ("differential_abundance", {"sample_key": "donor", "batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    "no degree of freedom": ("differential_abundance", {"sample_key": "donor", "dof": 0}, ValueError, "dof must be >= 0.01, got 0.0"),
    "negative degrees": ("get_aggregated_posterior", {"dof": -1}, ValueError, "dof must be >= 0.01, got -1.0"),
    "no such cell": ("get_aggregated_posterior", {"indices": [99]}, IndexError, "indices must be below the 60 cells, got 99"),
    "no such device": ("to_device", {"device": "abacus"}, ValueError, "device must be one that torch has here, got 'abacus'. Write \"cpu\""),
    "a list of devices": ("to_device", {"device": ["cpu"]}, ValueError, r"device must be one that torch has here, got \['cpu'\]"),
    "a size beyond 63 bits": ("get_latent_library_size", {"batch_size": 2**63}, ValueError, r"batch_size must be < 2\*\*63, got 9223372036854775808"),
    "no such second group": ("differential_expression", {"groupby": "label", "group1": "l0", "group2": "nope"}, KeyError, "group2 must name groups"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CALLS)
def test_methods_of_scvi_tools(trained, fault):
    method, arguments, error, message = CALLS[fault]
    with pytest.raises(error, match=message):
        getattr(trained("BetaVAE"), method)(**arguments)


DEVICES = {
    "no such accelerator": ({"accelerator": "abacus"}, r"accelerator must be one of this machine, got 'abacus' \(.*Available names are: .*cpu"),
    "a list": ({"accelerator": ["cpu"]}, r"accelerator must be one of this machine, got \['cpu'\] \(unhashable type: 'list'\). Write \"cpu\""),
    "no such device": ({"accelerator": "cpu", "device": "x"}, "device must fit accelerator='cpu', got 'x' .*Write its number"),
    "no device": ({"accelerator": "cpu", "device": 0}, "device must fit accelerator='cpu', got 0 "),
    "two devices": ({"accelerator": "cpu", "device": [0, 1]}, r"device must fit accelerator='cpu', got \[0, 1\] \(Only a single device"),
}  # fmt: skip


@pytest.mark.parametrize("fault", DEVICES)
def test_devices(trained, cells, tmp_path, fault):
    arguments, message = DEVICES[fault]
    reference = trained("BetaVAE")
    with pytest.raises(ValueError, match=message):
        type(reference).load(tmp_path, **arguments)
    with pytest.raises(ValueError, match=message):
        type(reference).load_query_data(cells(), reference, **arguments)


@pytest.mark.parametrize(
    "method",
    [
        "get_elbo",
        "get_kl_per_dimension",
        "get_latent_representation",
        "get_likelihood_parameters",
        "get_marginal_ll",
        "get_normalized_expression",
        "get_reconstruction_error",
        "minify_adata",
        "posterior_predictive_sample",
    ],
)
def test_an_untrained_model_says_nothing(make, method):
    with pytest.raises(RuntimeError, match="untrained model. Please train the model first"):
        getattr(make("BetaVAE", n_latent=2, n_hidden=4), method)()


def test_what_a_class_does_not_have(trained):
    with pytest.raises(
        TypeError, match="Loadings must come from a linear or annotated decoder, got decoder='mlp'"
    ):
        trained("BetaVAE").get_loadings()
    with pytest.raises(
        TypeError, match="must come from a latent with a gate, got prior='normal'. Use SparseVAE"
    ):
        trained("BetaVAE").get_inclusion_probability()
