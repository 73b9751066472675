"""Models of data that stay on disk: checked in full, read in parts, trained as from memory."""

import tracemalloc

import anndata
import h5py
import numpy as np
import pytest
import torch
import zarr
from scipy import sparse

from distaff import _disk
from distaff.model import FSCLVM, BetaVAE, LinearVAE, ProgramVAE
from distaff.model import _base as base
from distaff.pp import gene_sets
from distaff.train.sources import InMemory, row_source

pytestmark = pytest.mark.filterwarnings("ignore:zarr v3 autosharding")  # anndata, at every write

N_CELLS, N_GENES = 900, 24
QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture
def adata(make_adata):
    return make_adata(N_CELLS, N_GENES, covariates=True)


@pytest.fixture(params=["h5ad", "h5ad gzip", "zarr"])
def on_disk(request, adata, tmp_path):
    return put_on_disk(adata, tmp_path, request.param)


def put_on_disk(adata, folder, kind="h5ad"):
    if kind == "zarr":
        group = zarr.open_group(folder / "cells.zarr", mode="w")
        anndata.io.write_elem(group, "X", adata.X, dataset_kwargs={"chunks": (500,)})
        X = anndata.io.sparse_dataset(group["X"])
        return anndata.AnnData(X, obs=adata.obs.copy(), var=adata.var.copy())
    adata.write_h5ad(folder / "cells.h5ad", compression="gzip" if "gzip" in kind else None)
    return anndata.read_h5ad(folder / "cells.h5ad", backed="r")


def test_the_run_is_that_from_memory(adata, on_disk, monkeypatch):
    runs = []
    monkeypatch.setattr(InMemory, "on_disk", True)  # the order of the minibatches of a file
    monkeypatch.setattr(InMemory, "block_size", row_source(on_disk.X).block_size)
    for data in (adata, on_disk):
        LinearVAE.setup_anndata(data, batch_key="batch")
        model = LinearVAE(data, n_latent=3, use_observed_lib_size=False)
        model.train(3, seed=1, check_val_every_n_epoch=1, **QUIET)
        runs.append((model, model.get_latent_representation()))
    (memory, Z), (disk, Z_disk) = runs
    for curve in ("train_loss", "validation_loss"):
        assert disk.history[curve].equals(memory.history[curve])
    assert np.array_equal(Z_disk, Z)
    assert torch.equal(disk.module.library.log_means, memory.module.library.log_means)


def test_a_run_is_a_function_of_its_seed(on_disk):
    BetaVAE.setup_anndata(on_disk)
    losses = []
    for seed in (0, 0, 1):
        model = BetaVAE(on_disk, n_latent=2, n_hidden=8)
        model.train(2, seed=seed, **QUIET)
        losses.append(model.history["train_loss"]["train_loss"].tolist())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_registering_reads_little_at_a_time(kind, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    counts = sparse.random(4000, 500, 0.25, "csr", np.float32, random_state=rng)  # 4 MB
    counts.data[:] = rng.integers(1, 9, counts.nnz)
    adata = put_on_disk(anndata.AnnData(counts), tmp_path, kind)
    monkeypatch.setattr(_disk, "MOST_VALUES", 2**14)
    tracemalloc.start()
    try:
        LinearVAE.setup_anndata(adata)
        LinearVAE(adata, n_latent=2, n_hidden=4, use_observed_lib_size=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * counts.nnz / 3


@pytest.mark.parametrize(
    ("value", "rule"), [(0.5, r"must hold counts \(whole numbers\)"), (-1.0, "must not be negative")]
)
def test_a_bad_value_deep_in_the_file_is_found(adata, tmp_path, monkeypatch, value, rule):
    monkeypatch.setattr(_disk, "MOST_VALUES", 200)
    row = N_CELLS - 2
    at = adata.X.indptr[row + 1] - 1
    gene = adata.var_names[adata.X.indices[at]]
    adata.X.data[at] = value
    stored = put_on_disk(adata, tmp_path)
    with pytest.raises(ValueError, match=rf"adata.X {rule}, got {value} for cell 'cell{row}', gene '{gene}'"):
        LinearVAE.setup_anndata(stored)


def test_a_gene_that_is_none_is_found(adata, tmp_path):
    stored = put_on_disk(adata, tmp_path, "zarr")
    stored.X.group["indices"][-1] = N_GENES
    with pytest.raises(ValueError, match=rf"must number its genes from 0 to {N_GENES - 1}, got {N_GENES}"):
        LinearVAE.setup_anndata(stored)


def test_genes_by_genes_is_refused(adata, tmp_path):
    adata.X = adata.X.tocsc()
    with pytest.raises(TypeError, match=r"stored cell by cell \(CSR\), got CSC"):
        LinearVAE.setup_anndata(put_on_disk(adata, tmp_path))


def test_a_closed_file_is_named(adata, tmp_path):
    put_on_disk(adata, tmp_path).file.close()
    with h5py.File(tmp_path / "cells.h5ad") as file:
        stored = anndata.AnnData(anndata.io.sparse_dataset(file["X"]), obs=adata.obs.copy())
        LinearVAE.setup_anndata(stored)
        model = LinearVAE(stored, n_latent=2, n_hidden=4)
    with pytest.raises(ValueError, match=r"The file of adata.X must be open"):
        model.train(1, seed=0, **QUIET)


def test_a_start_from_disk_is_that_from_memory(adata, on_disk):
    loadings = []
    for data in (adata, on_disk):
        ProgramVAE.setup_anndata(data)
        model = ProgramVAE(data, n_latent=2, n_hidden=8)
        model.train(1, seed=0, lr=1e-12, **QUIET)  # the start and no more
        loadings.append(model.get_loadings().to_numpy())
    np.testing.assert_allclose(loadings[0], loadings[1], rtol=1e-5)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_start_takes_some_cells(on_disk, adata, monkeypatch, where):
    data = {"memory": adata, "disk": on_disk}[where]
    monkeypatch.setattr(base, "MOST_START_CELLS", 200)
    seen = []
    factorise = base.factorise
    monkeypatch.setattr(base, "factorise", lambda X, *a, **k: seen.append(X.shape) or factorise(X, *a, **k))
    ProgramVAE.setup_anndata(data, batch_key="batch")
    model = ProgramVAE(data, n_latent=2, n_hidden=8)
    model.train(1, seed=0, **QUIET)
    assert seen == [(200, N_GENES)]
    assert np.isfinite(model.get_latent_representation()).all()


def test_minified_totals(on_disk, adata):
    BetaVAE.setup_anndata(on_disk)
    model = BetaVAE(on_disk, n_latent=2, n_hidden=8)
    model.train(1, seed=0, **QUIET)
    Z = model.get_latent_representation()
    model.minify_adata()
    assert np.array_equal(model.get_latent_representation(), Z)
    totals = model.adata.obs["_scvi_observed_lib_size"]
    assert np.array_equal(totals, np.asarray(adata.X.sum(1)).ravel())
    assert model.adata.X.nnz == 0
    assert model.adata is not on_disk


def test_counts_on_disk_are_not_kept_beside_a_posterior(on_disk):
    BetaVAE.setup_anndata(on_disk)
    model = BetaVAE(on_disk, n_latent=2, n_hidden=8)
    model.train(1, seed=0, **QUIET)
    with pytest.raises(ValueError, match="Counts must be in memory to be kept, got counts on disk"):
        model.minify_adata("latent_posterior_parameters_with_counts")


@pytest.mark.filterwarnings("ignore:The validation set")
def test_the_baseline_trains(on_disk):
    gene_sets(on_disk, {"A": on_disk.var_names[:12], "B": on_disk.var_names[12:]}, min_genes=2)
    FSCLVM.setup_anndata(on_disk)
    model = FSCLVM(on_disk, n_dense=1)
    model.train(1, seed=0, **QUIET)
    assert np.isfinite(model.get_latent_representation()).all()
