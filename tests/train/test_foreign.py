"""Minibatches that others made: what is missing is filled in, what was not asked for left out, all of it checked."""

import numpy as np
import pytest
import torch

from distaff.model import BetaVAE
from distaff.train import CheckedLoader, ForeignData, dense_data, split_cells

GENES = np.array(["a", "b", "c"])


def counts(*changes):
    X = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 0.0, 0.0]])
    for row, gene, value in changes:
        X[row, gene] = value
    return X


@pytest.mark.parametrize("missing", [None, 0, torch.empty(0)], ids=["None", "number", "empty"])
def test_entries_are_those_of_the_models(missing):
    found = {
        "X": counts().int(),
        "batch": missing,
        "labels": torch.tensor([0, 1, 1], dtype=torch.int32),
        "extra_categorical_covs": None,
        "extra_continuous_covs": torch.ones(3, 2),
        "size_factor": torch.ones(3, 1),
        "sample": missing,
    }
    (minibatch,) = CheckedLoader([found], GENES, is_count_data=True)
    assert set(minibatch) == {"X", "batch", "labels", "extra_continuous_covs"}
    assert minibatch["X"].dtype == torch.float32
    assert minibatch["batch"].tolist() == [[0], [0], [0]]
    assert minibatch["labels"].tolist() == [[0], [1], [1]]
    assert minibatch["labels"].dtype == torch.int64


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (1, 1, 0.5),
            r"must be counts \(whole numbers\), got 0.5 for gene 'b'. Give the data module raw counts.",
        ),
        ((2, 0, -1.0), "must not be negative, got -1 for gene 'a'"),
        ((0, 2, float("nan")), "must be finite, got nan for gene 'c'"),
        ((1, 1, 0.0), "Every cell of the data module must have counts"),
    ],
)
def test_values_must_be_counts(change, message, sparse):
    X = counts(change)
    loader = CheckedLoader([{"X": X.to_sparse_csr() if sparse else X}], GENES, is_count_data=True)
    with pytest.raises(ValueError, match=message):
        list(loader)


def test_real_values_need_only_be_finite():
    X = counts((0, 0, -0.5))
    (minibatch,) = CheckedLoader([{"X": X}], GENES, is_count_data=False)
    assert torch.equal(minibatch["X"], X)
    with pytest.raises(ValueError, match="must be finite, got inf"):
        list(CheckedLoader([{"X": counts((0, 0, float("inf")))}], GENES, is_count_data=False))


def test_genes_must_be_as_many():
    with pytest.raises(ValueError, match="Minibatches must have 2 genes, got 3"):
        list(CheckedLoader([{"X": counts()}], GENES[:2], is_count_data=True))


def test_small_minibatches_are_left_out():
    loader = CheckedLoader([{"X": counts()}, {"X": counts()[:2]}], GENES, is_count_data=True, smallest=3)
    assert [len(minibatch["X"]) for minibatch in loader] == [3]
    assert len(loader) == 2


def test_a_module_of_scvi_tools(make_adata):
    adata = make_adata(130, 8, covariates=True)
    BetaVAE.setup_anndata(adata, batch_key="batch")
    manager = BetaVAE(adata, n_latent=2, n_hidden=4).adata_manager
    split = split_cells(130, batch_size=32, train_size=0.8, validation_size=0.1, shuffle=True, seed=0)
    module = dense_data(manager, split)
    data = ForeignData(module, adata.var_names.to_numpy(), is_count_data=True)
    assert data.steps_per_epoch(32) == 4
    assert data.n_train == 104
    assert data.validates
    (held_out,) = data.val_dataloader()
    assert torch.equal(held_out["X"], torch.from_numpy(adata.X[split.validation].toarray()))
    assert sum(len(minibatch["X"]) for minibatch in data.train_dataloader()) == 104
