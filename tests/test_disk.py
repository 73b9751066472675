"""Matrices on disk: the right rows, never much at a time, and clear words for what cannot be read."""

import anndata
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from distaff import _disk
from distaff._disk import DiskRows, is_on_disk

pytestmark = pytest.mark.filterwarnings("ignore:zarr v3 autosharding")  # anndata, at every write

N_CELLS, N_GENES = 500, 30


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return sparse.csr_matrix(rng.poisson(0.4, (N_CELLS, N_GENES)).astype(np.float32))


@pytest.fixture(params=["h5", "h5 gzip", "zarr", "dense h5", "dense zarr"])
def stored(request, counts, tmp_path):
    return store(counts.toarray() if "dense" in request.param else counts, request.param, tmp_path)


def store(matrix, kind, folder):
    """Write a matrix and hand out what stands for it on disk."""
    if "zarr" in kind:
        group = zarr.open_group(folder / "cells.zarr", mode="w")
        options = {"chunks": (100,)} if sparse.issparse(matrix) else {"chunks": (64, N_GENES)}
    else:
        group = h5py.File(folder / "cells.h5", "w")
        options = {"compression": "gzip", "chunks": (100,)} if "gzip" in kind else {}
    anndata.io.write_elem(group, "X", matrix, dataset_kwargs=options)
    return anndata.io.sparse_dataset(group["X"]) if sparse.issparse(matrix) else group["X"]


def dense(block):
    return block.toarray() if sparse.issparse(block) else block


@pytest.mark.parametrize("gap", [1, 2**14], ids=["row by row", "with what is between"])
@pytest.mark.parametrize("most", [200, 2**22], ids=["in pieces", "at once"])
def test_rows_are_those_of_the_matrix(stored, counts, gap, most, monkeypatch):
    monkeypatch.setattr(_disk, "GAP", gap)
    monkeypatch.setattr(_disk, "MOST_VALUES", most)
    rng, X = np.random.default_rng(1), counts.toarray()
    rows = DiskRows(stored)
    assert rows.shape == X.shape
    for positions in (
        rng.permutation(N_CELLS)[:90],
        rng.permutation(N_CELLS),
        np.array([499, 0, 499, 7]),
        np.array([3]),
        np.arange(100, 200),
        np.array([], dtype=int),
    ):
        block, place = rows.pool(positions)
        assert len(place) == len(positions)
        assert np.array_equal(dense(block[place]), X[positions])
    assert np.array_equal(np.concatenate([dense(block) for _, block in rows.blocks()]), X)
    assert next(rows.blocks())[0] == 0


def test_no_reading_is_longer_than_allowed(stored, counts, monkeypatch):
    monkeypatch.setattr(_disk, "MOST_VALUES", 240)
    rows = DiskRows(stored)
    sizes = [block.nnz if sparse.issparse(block) else block.size for _, block in rows.blocks()]
    assert len(sizes) > 10
    assert max(sizes) <= 240
    assert sum(sizes) == rows.offsets[-1]


def test_a_row_longer_than_allowed_is_read(stored, counts, monkeypatch):
    monkeypatch.setattr(_disk, "MOST_VALUES", 2)
    blocks = [dense(block) for _, block in DiskRows(stored).blocks()]
    assert np.array_equal(np.concatenate(blocks), counts.toarray())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_gene_numbers_of_any_type(counts, tmp_path, kind):
    stored = store(counts, "zarr", tmp_path)
    numbers = stored.group["indices"][...]
    del stored.group["indices"]
    stored.group.create_array("indices", data=numbers.astype(kind))
    block = DiskRows(stored).read(0, N_CELLS)
    assert block.indices.dtype == block.indptr.dtype
    assert (block != counts).nnz == 0


def test_chunks_are_counted_in_rows(counts, tmp_path):
    rows = DiskRows(store(counts, "h5 gzip", tmp_path))
    assert rows.chunk_size == pytest.approx(100 * N_CELLS / counts.nnz)
    assert DiskRows(store(counts.toarray(), "dense zarr", tmp_path)).chunk_size == 64


def test_what_is_on_disk(stored, counts):
    assert is_on_disk(stored)
    assert not is_on_disk(counts)
    assert not is_on_disk(counts.toarray())


def test_genes_by_genes_is_refused(counts, tmp_path):
    stored = store(counts.tocsc(), "h5", tmp_path)
    assert is_on_disk(stored)
    with pytest.raises(TypeError, match=r"adata.X on disk must be stored cell by cell \(CSR\), got CSC"):
        DiskRows(stored)


def test_dask_is_refused(counts, tmp_path):
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    array = da.from_array(counts.toarray())
    assert is_on_disk(array)
    with pytest.raises(
        TypeError, match=r"got a dask array. Give the store itself: X=anndata.io.sparse_dataset"
    ):
        DiskRows(array)


@pytest.mark.parametrize("kind", ["h5", "dense h5"])
def test_a_closed_file_is_named(counts, tmp_path, kind):
    stored = store(counts.toarray() if "dense" in kind else counts, kind, tmp_path)
    (stored.file if "dense" in kind else stored.group.file).close()
    with pytest.raises(
        ValueError, match=r"The file of adata.X must be open, got a closed file. Open it again."
    ):
        DiskRows(stored)


def test_row_pointers_must_fit(counts, tmp_path):
    stored = store(counts, "zarr", tmp_path)
    indptr = stored.group["indptr"]
    good = indptr[...]
    indptr[3] = good[-1]
    with pytest.raises(
        ValueError, match=r"must be a CSR matrix that points .*, got row pointers that do not rise from 0"
    ):
        DiskRows(stored)
    indptr[3] = good[3]
    indptr[N_CELLS] = good[-1] + 1
    with pytest.raises(ValueError, match=rf"row pointers up to {good[-1] + 1} for {good[-1]} values"):
        DiskRows(stored)
    del stored.group["indptr"]
    stored.group.create_array("indptr", data=good[:-1])
    with pytest.raises(ValueError, match=rf"{N_CELLS} row pointers for {N_CELLS} cells"):
        DiskRows(stored)
