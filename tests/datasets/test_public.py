"""Public data: found by checksum, downloaded from a server on this machine, made of files of the public layout."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from distaff.datasets import _public, kang, pbmc3k, sc_mixology
from distaff.datasets._public import PublicFile, Source, load


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Neither the user's cache nor the folder of real data is looked into."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.delenv("DISTAFF_DATA", raising=False)


@pytest.fixture
def server(tmp_path):
    """Folder that a server on this machine gives out, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    seen = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *parts):
            seen.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}", seen
        running.shutdown()
        thread.join()


def write(path, adata):
    path.parent.mkdir(parents=True, exist_ok=True)
    adata.write_h5ad(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small(n_cells=4, n_genes=3):
    return anndata.AnnData(
        sparse.csr_matrix(np.arange(n_cells * n_genes, dtype=np.float32).reshape(n_cells, n_genes)),
        obs=pd.DataFrame({"kind": pd.Categorical(["a", "b"] * (n_cells // 2))}, index=list("wxyz")[:n_cells]),
    )


@pytest.fixture
def source(server):
    """A small data set of one file, on the server."""
    folder, address, _ = server
    sha256 = write(folder / "small.h5ad", small())
    return Source((PublicFile("small.h5ad", sha256, f"{address}/small.h5ad"),), anndata.read_h5ad)


@pytest.mark.parametrize("named", [True, False])
def test_downloads_once_and_then_reads_from_disk(source, server, tmp_path, named):
    seen = server[2]
    folder = tmp_path / "mine" if named else None
    adata = load("small", [source], folder=folder, download=True)
    np.testing.assert_array_equal(adata.X.toarray(), small().X.toarray())
    assert adata.uns["source"] == {"small.h5ad": source.files[0].sha256}
    assert len(seen) == 1
    where = folder if named else tmp_path / "cache" / "distaff"
    assert [path.name for path in where.iterdir()] == ["small.h5ad"]
    load("small", [source], folder=folder, download=False)
    assert len(seen) == 1


def test_nothing_is_downloaded_unasked(source, server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"small must be on this machine with download=False.*sha256"):
        load("small", [source], folder=tmp_path / "mine", download=False)
    assert server[2] == []
    assert not (tmp_path / "mine").exists()


def test_folder_of_the_environment_comes_before_the_cache(source, server, tmp_path, monkeypatch):
    named = tmp_path / "named"
    named.mkdir()
    (named / "small.h5ad").write_bytes((server[0] / "small.h5ad").read_bytes())
    monkeypatch.setenv("DISTAFF_DATA", str(named))
    assert load("small", [source], folder=None, download=True).n_obs == 4
    assert server[2] == []
    with pytest.raises(FileNotFoundError):  # a folder that is named is the only one
        load("small", [source], folder=tmp_path / "other", download=False)


def test_a_file_with_another_checksum_is_refused(source, server, tmp_path):
    (server[0] / "small.h5ad").write_bytes(b"another file")
    with pytest.raises(ValueError, match=r"must have sha256 .*got .*Or download small.h5ad .*yourself"):
        load("small", [source], folder=tmp_path / "mine", download=True)
    assert list((tmp_path / "mine").iterdir()) == []
    (tmp_path / "mine" / "small.h5ad").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"small.h5ad must have sha256 .*remove or rename it"):
        load("small", [source], folder=tmp_path / "mine", download=True)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/small.h5ad", None])
def test_no_network_or_no_such_page_says_what_to_do(address, server, tmp_path):
    file = PublicFile("small.h5ad", "0" * 64, address or f"{server[1]}/absent.h5ad")
    with pytest.raises(ConnectionError, match=r"must be reachable .*got .*Or download small.h5ad"):
        load("small", [Source((file,), anndata.read_h5ad)], folder=tmp_path / "mine", download=True)
    assert list((tmp_path / "mine").glob("*")) == []


def test_the_first_source_that_is_there_is_read(source, tmp_path):
    prepared = small(2)
    sha256 = write(tmp_path / "mine" / "prepared.h5ad", prepared)
    sources = [Source((PublicFile("prepared.h5ad", sha256),), anndata.read_h5ad), source]
    assert load("small", sources, folder=tmp_path / "mine", download=True).n_obs == 2
    assert load("small", sources, folder=tmp_path / "other", download=True).n_obs == 4


def test_folder_must_be_one(source, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", "", 3):
        with pytest.raises((ValueError, TypeError), match="folder must be the path of a folder, got"):
            load("small", [source], folder=folder, download=False)


# --- layouts of the public files -------------------------------------------------------------------


def write_old(path, X, obs, var):
    """An h5ad of the time before anndata 0.7, as the public files of PBMC 3k are."""
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = "csr", X.shape
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(X, part)
        for name, table in (("obs", obs), ("var", var)):
            file[name] = table
    return hashlib.sha256(path.read_bytes()).hexdigest()


def use(monkeypatch, loader_module, layout, sha256s):
    """Give the files of a layout the checksums of small files, and no address."""
    sources = list(loader_module.SOURCES)
    files = tuple(
        PublicFile(file.name, sha) for file, sha in zip(sources[layout].files, sha256s, strict=True)
    )
    monkeypatch.setattr(loader_module, "SOURCES", (Source(files, sources[layout].read),))


def test_pbmc3k_of_the_public_files(tmp_path, monkeypatch):
    module = import_module("distaff.datasets.pbmc3k")
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, (8, 300)).astype(np.float32)
    X[:, 0] = 0  # a gene of no cell
    cells = np.array([f"CELL{i}-1" for i in range(8)], dtype="S8")
    genes = np.array(["MT-A", "MT-A", *(f"G{i}" for i in range(298))], dtype="S8")
    raw = write_old(
        tmp_path / "pbmc3k_raw.h5ad",
        sparse.csr_matrix(X),
        np.array([(cell,) for cell in cells], dtype=[("index", "S8")]),
        np.array([(gene, b"ENSG") for gene in genes], dtype=[("index", "S8"), ("gene_ids", "S8")]),
    )
    labelled = anndata.AnnData(
        np.zeros((3, 1), np.float32),
        obs=pd.DataFrame({"louvain": pd.Categorical(["B cells", "NK cells", "B cells"])}, index=cells[[2, 0, 5]].astype(str)),
    )  # fmt: skip
    use(monkeypatch, module, 1, [raw, write(tmp_path / "pbmc3k_processed.h5ad", labelled)])
    adata = pbmc3k(folder=tmp_path)
    assert adata.shape == (8, 299)
    assert adata.var_names.is_unique
    assert sparse.isspmatrix_csr(adata.X)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X.toarray(), X[:, 1:])
    assert list(adata.obs_names) == [f"CELL{i}" for i in range(8)]
    assert adata.obs["cell_type"].cat.categories.tolist() == ["B cells", "NK cells"]
    assert adata.obs["cell_type"].dropna().to_dict() == {"CELL0": "NK cells", "CELL2": "B cells", "CELL5": "B cells"}  # fmt: skip
    np.testing.assert_allclose(adata.obs["n_counts"], X.sum(axis=1))
    np.testing.assert_allclose(adata.obs["pct_mt"], 100 * X[:, 1] / X.sum(axis=1), rtol=1e-6)
    kept = (X > 0).sum(axis=1)
    np.testing.assert_array_equal(adata.obs["seurat_qc"], (kept > 200) & (adata.obs["pct_mt"] < 5))
    adata.write_h5ad(tmp_path / "written.h5ad")


def test_kang_of_the_public_file(tmp_path, monkeypatch):
    module = import_module("distaff.datasets.kang")
    X = np.random.default_rng(0).poisson(1.0, (6, 5)).astype(np.float32)
    public = anndata.AnnData(
        sparse.csc_matrix(X),
        obs=pd.DataFrame(
            {
                "label": pd.Categorical(["ctrl", "stim"] * 3),
                "cell_type": pd.Categorical(["B cells", "NK cells", "B cells"] * 2),
                "replicate": pd.Categorical(["patient_101", "patient_1015", "patient_101"] * 2),
                "nCount_RNA": X.sum(axis=1),
            },
            index=[f"cell{i}" for i in range(6)],
        ),
    )
    public.obsm["X_umap"] = np.zeros((6, 2))
    use(monkeypatch, module, 0, [write(tmp_path / "kang_2018.h5ad", public)])
    adata = kang(folder=tmp_path)
    assert list(adata.obs) == ["condition", "cell_type", "donor"]
    assert adata.obs["donor"].cat.categories.tolist() == ["101", "1015"]
    np.testing.assert_array_equal(adata.X.toarray(), X)
    assert not adata.obsm
    assert sparse.isspmatrix_csr(adata.X)


@pytest.mark.parametrize(
    ("loader", "shape", "columns"),
    [
        (pbmc3k, (2700, 13714), {"cell_type", "seurat_qc", "n_counts", "n_genes", "pct_mt"}),
        (kang, (2000, 9015), {"condition", "cell_type", "donor"}),
        (sc_mixology, (1408, 11233), {"cell_type", "protocol", "demuxlet_cls"}),
    ],
)
def test_real_data(loader, shape, columns, data_dir):
    adata = loader(folder=data_dir)
    assert adata.shape == shape
    assert columns <= set(adata.obs)
    assert (adata.X.data == np.rint(adata.X.data)).all()


def test_quality_is_that_of_the_prepared_file(data_dir):
    """What is computed from the counts of the public file is what Seurat computed."""
    from distaff.datasets._cells import quality

    adata = pbmc3k(folder=data_dir)
    again = anndata.AnnData(adata.X, obs=adata.obs[[]].copy(), var=adata.var[[]])
    quality(again)
    np.testing.assert_array_equal(again.obs["seurat_qc"], adata.obs["seurat_qc"])
    for column in ("n_counts", "n_genes", "pct_mt"):
        np.testing.assert_allclose(again.obs[column], adata.obs[column], rtol=1e-5)


@pytest.mark.parametrize("loader", [kang, pbmc3k])
def test_public_addresses_are_encrypted_and_have_a_checksum(loader):
    sources = import_module(loader.__module__).SOURCES
    files = [file for source in sources for file in source.files]
    assert any(file.address for file in files)
    assert all(len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef") for file in files)
    assert all(file.address.startswith("https://") for file in files if file.address)
    assert _public.VARIABLE == "DISTAFF_DATA"
