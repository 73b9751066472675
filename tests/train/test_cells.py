"""Minibatches of cells: the right rows, once each, from memory and from a file."""

import anndata
import numpy as np
import pytest
import torch
from scipy import sparse

from distaff.model import BetaVAE
from distaff.train import CellLoader
from distaff.train.cells import _table, movable, part_by_part
from distaff.train.data import Chunks
from distaff.train.sources import row_source

N_CELLS, N_GENES = 700, 12

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training will be faster when sparse matrix is formatted as CSR"
)


@pytest.fixture(params=["csr", "csc", "dense", "backed csr", "backed dense"])
def model(request, tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, size=(N_CELLS, N_GENES)).astype(np.float32)
    counts[:, 0] = 1 + np.arange(N_CELLS)  # names the cell
    kind = request.param.split()[-1]
    make = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": np.asarray}[kind]
    adata = anndata.AnnData(make(counts))
    adata.obs["batch"] = np.where(np.arange(N_CELLS) % 3 == 0, "a", "b")
    adata.obs["age"] = np.linspace(0, 1, N_CELLS)
    if request.param.startswith("backed"):
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r+")
    BetaVAE.setup_anndata(adata, batch_key="batch", continuous_covariate_keys=["age"])
    return BetaVAE(adata, n_latent=2, n_hidden=4)


def cells_of(minibatch):
    return minibatch["X"].to_dense()[:, 0].long() - 1


def test_each_cell_once_with_what_belongs_to_it(model):
    loader = CellLoader(model.adata_manager, batch_size=64, shuffle=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        minibatches, again = list(loader), list(loader)
    assert len(minibatches) == len(loader) == 11
    cells = torch.cat([cells_of(minibatch) for minibatch in minibatches])
    assert sorted(cells.tolist()) == list(range(N_CELLS))
    assert cells.tolist() != torch.cat([cells_of(minibatch) for minibatch in again]).tolist()
    batch = torch.cat([minibatch["batch"] for minibatch in minibatches]).squeeze(1)
    assert torch.equal(batch == 0, cells % 3 == 0)
    age = torch.cat([minibatch["extra_continuous_covs"] for minibatch in minibatches]).squeeze(1)
    torch.testing.assert_close(age, cells / (N_CELLS - 1))
    assert minibatches[0]["X"].dtype == torch.float32


def test_chosen_cells_come_in_their_order(model):
    chosen = np.array([5, 699, 0, 300, 17, 16])
    loader = CellLoader(model.adata_manager, chosen, batch_size=4)
    assert torch.cat([cells_of(minibatch) for minibatch in loader]).tolist() == chosen.tolist()
    mask = np.zeros(N_CELLS, dtype=bool)
    mask[[3, 8]] = True
    (minibatch,) = CellLoader(model.adata_manager, mask, batch_size=4)
    assert cells_of(minibatch).tolist() == [3, 8]


def test_a_short_last_minibatch_can_be_left_out(model):
    loader = CellLoader(model.adata_manager, batch_size=64, shuffle=True, drop_last=True)
    assert [len(minibatch["X"]) for minibatch in loader] == [64] * 10 == [64] * len(loader)


def test_chunks_read_nothing_ahead(model):
    chunks = Chunks(CellLoader(model.adata_manager, batch_size=64), 4)
    assert len(chunks) == 3
    cells = [[cells_of(minibatch) for minibatch in chunk] for chunk in list(chunks)]  # as a prefetcher does
    assert [len(chunk) for chunk in cells] == [4, 4, 3]
    assert torch.cat([c for chunk in cells for c in chunk]).tolist() == list(range(N_CELLS))


def test_the_model_trains_and_reads(model):
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    Z = model.get_latent_representation()
    assert Z.shape == (N_CELLS, 2)
    assert np.isfinite(Z).all()
    assert np.array_equal(model.get_latent_representation(indices=[9, 2]), Z[[9, 2]])


def test_cells_of_a_file_are_mixed_across_blocks(tmp_path):
    counts = sparse.csr_matrix(np.arange(1, 3001, dtype=np.float32)[:, None])
    anndata.AnnData(sparse.hstack([counts, counts]).tocsr()).write_h5ad(tmp_path / "cells.h5ad")
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r+")
    BetaVAE.setup_anndata(adata)
    manager = BetaVAE(adata, n_latent=2, n_hidden=4).adata_manager
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = next(iter(CellLoader(manager, batch_size=128, shuffle=True)))
    assert len(np.unique(cells_of(first).numpy() // 256)) > 6


def test_gene_numbers_and_row_pointers_are_of_one_type():
    counts = sparse.csr_matrix(np.eye(4, dtype=np.float32))
    counts.indptr = counts.indptr.astype(np.int64)  # as anndata reads what was written in parts
    held = row_source(counts).counts
    assert held.indptr.dtype == held.indices.dtype == np.int32
    assert np.shares_memory(held.data, counts.data)
    assert (held != counts).nnz == 0
    assert counts.indptr.dtype == np.int64


def test_columns_on_disk_are_refused(tmp_path):
    anndata.AnnData(sparse.csc_matrix(np.ones((4, 3), dtype=np.float32))).write_h5ad(tmp_path / "c.h5ad")
    adata = anndata.read_h5ad(tmp_path / "c.h5ad", backed="r+")
    with pytest.raises(TypeError, match=r"must be stored cell by cell \(CSR\), got CSC"):
        row_source(adata.X)
    with pytest.raises(TypeError, match="got list"):
        row_source([1, 2])


def test_apples_gpu_gets_dense_counts():
    minibatch = {"X": torch.eye(3).to_sparse_csr(), "batch": torch.zeros(3, 1)}
    assert movable(minibatch, torch.device("cpu"))["X"].layout == torch.sparse_csr
    assert movable(minibatch, torch.device("cuda"))["X"].layout == torch.sparse_csr
    dense = movable(minibatch, torch.device("mps"))
    assert torch.equal(dense["X"], torch.eye(3))
    assert dense["batch"] is minibatch["batch"]


def test_tensors_are_moved_array_by_array():
    sparse_one = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]]).to_sparse_csr()
    moved = []

    def move(part):
        moved.append(part)
        return part.clone()

    again = part_by_part(sparse_one, move)
    assert len(moved) == 3
    assert again.layout == torch.sparse_csr
    assert torch.equal(again.to_dense(), sparse_one.to_dense())
    assert part_by_part(sparse_one.to_dense(), move).layout == torch.strided
    assert len(moved) == 4


def test_tables_may_be_read_only():
    adata = anndata.AnnData(sparse.csr_matrix(np.ones((6, 3), dtype=np.float32)))
    adata.obs["age"] = np.arange(6.0)
    BetaVAE.setup_anndata(adata, continuous_covariate_keys=["age"])
    manager = BetaVAE(adata, n_latent=2, n_hidden=4).adata_manager
    stored = manager.get_from_registry("extra_continuous_covs").to_numpy()
    stored.flags.writeable = False
    table = _table(stored)
    assert table.squeeze(1).tolist() == list(range(6))
