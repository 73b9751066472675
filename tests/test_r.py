"""Files for R: what its readers know is all that is in them; the page on R runs, where R is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

import distaff as ds

PAGE = Path(__file__).parents[1] / "docs" / "r.md"
RSCRIPT = shutil.which("Rscript")
# what anndataR 1.0 has a reader for
ENCODINGS = {
    *("array", "categorical", "csc_matrix", "csr_matrix", "dataframe", "dict", "numeric-scalar", "string"),
    *("string-array", "nullable-boolean", "nullable-integer", "anndata"),
}
QUICK = "train(2, accelerator='cpu', enable_progress_bar=False, "


@cache
def has(*packages: str) -> bool:
    """Whether R is here with these packages."""
    if RSCRIPT is None:
        return False
    code = " ".join(f"stopifnot(requireNamespace('{package}', quietly = TRUE));" for package in packages)
    return subprocess.run([RSCRIPT, "-e", code], capture_output=True, check=False).returncode == 0


def needs(*packages: str) -> None:
    if not has(*packages):
        pytest.skip(f"needs R with {', '.join(packages)}")


def blocks(language: str) -> list[str]:
    if not PAGE.is_file():
        pytest.skip("the source distribution has no docs")
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def run_r(code: str, folder: Path) -> str:
    script = folder / "script.R"
    script.write_text(f"options(warn = 2)\n{code}", encoding="utf-8")
    done = subprocess.run([RSCRIPT, str(script)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def plain_strings():
    before = anndata.settings.allow_write_nullable_strings
    yield
    anndata.settings.allow_write_nullable_strings = before


def with_all_slots(make_adata):
    """Cells with all that distaff writes."""
    adata = make_adata(120, 40, covariates=True)
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(120) % 2, "stim", "ctrl"))
    ds.pp.gene_sets(adata, {"A": adata.var_names[:12], "B": adata.var_names[12:30]})
    ds.model.LinearVAE.setup_anndata(adata)
    model = ds.model.LinearVAE(adata, n_latent=3)
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    ds.tl.factors(adata, model)
    ds.tl.traverse(adata, model)
    ds.tl.disentanglement(adata, ["condition"], references=None, active_only=False, metrics="max_spearman")
    ds.tl.rank_factors(adata, "condition")
    ds.tl.enrich(adata, min_genes=2)
    ds.tl.gep_score(adata, "gene_sets", top=0.5)
    return adata


def test_all_that_is_written_has_a_reader_in_r(make_adata, tmp_path, plain_strings) -> None:
    adata = with_all_slots(make_adata)
    anndata.settings.allow_write_nullable_strings = False
    adata.write_h5ad(tmp_path / "factors.h5ad")
    odd = []

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        encoding = item.attrs.get("encoding-type")
        if encoding is None:  # parts of a sparse matrix
            assert "csr_matrix" in item.parent.attrs["encoding-type"]
        elif encoding not in ENCODINGS:
            odd.append((name, encoding))
        if (
            isinstance(item, h5py.Dataset)
            and item.dtype == object
            and h5py.check_string_dtype(item.dtype) is None
        ):
            odd.append((name, item.dtype))

    with h5py.File(tmp_path / "factors.h5ad") as file:
        file.visititems(look)
        assert file["uns/distaff/factors"].attrs["encoding-type"] == "dataframe"
        assert file["X"].attrs["encoding-type"] == "csr_matrix"
    assert odd == []


@pytest.fixture
def from_python(make_adata, tmp_path, monkeypatch, plain_strings):
    """Run the Python of the page on cells that come as R writes them."""
    monkeypatch.chdir(tmp_path)
    adata = make_adata(100, 30, covariates=True)
    read, fit = blocks("python")
    names: dict = {}

    def run():
        exec(read, names)
        assert (names["adata"].X != adata.X).nnz == 0
        assert list(names["adata"].obs_names) == list(adata.obs_names)
        assert list(names["adata"].var_names) == list(adata.var_names)
        exec(fit.replace("train(", QUICK), names)
        return names["adata"]

    return adata, run


def in_r(adata, folder: Path) -> str:
    """Lines of R that make the counts and cells of the page."""
    table = pd.DataFrame(adata.X.T.toarray().astype(int), index=adata.var_names, columns=adata.obs_names)
    table.to_csv(folder / "dense.csv")
    adata.obs.to_csv(folder / "obs.csv")
    return (
        "counts <- Matrix::Matrix(as.matrix(read.csv('dense.csv', row.names = 1, check.names = FALSE)), sparse = TRUE)\n"
        "cells <- read.csv('obs.csv', row.names = 1)\n"
    )


@pytest.mark.filterwarnings(
    "ignore:The default:DeprecationWarning"
)  # of mmread, whose older versions know no other
def test_the_page_runs(from_python, tmp_path) -> None:
    needs("Matrix", "rhdf5")
    adata, run = from_python
    write, read, seurat, _ = blocks("r")
    run_r(in_r(adata, tmp_path) + write, tmp_path)
    back = run()
    check = """
    write.csv(loadings, "loadings.csv"); write.csv(latent, "latent.csv"); write.csv(factors, "factors.csv")
    write.csv(cells, "cells.csv"); write.csv(as.matrix(counts), "counts.csv"); cat(class(counts))
    """
    if has("SeuratObject"):
        check = f"{seurat}\nstopifnot(identical(dim(seurat[['distaff']]), dim(latent)))\n{check}"
    assert run_r(read + check, tmp_path).endswith("dgCMatrix")

    def of_r(name: str) -> pd.DataFrame:
        return pd.read_csv(tmp_path / f"{name}.csv", index_col=0)

    np.testing.assert_allclose(of_r("latent").to_numpy(), back.obsm["X_distaff"], rtol=1e-5, atol=1e-7)
    pd.testing.assert_frame_equal(
        of_r("loadings"), back.varm["distaff_loadings"], check_dtype=False, rtol=1e-5
    )
    np.testing.assert_array_equal(of_r("counts").to_numpy().T, adata.X.toarray())
    table, factors = back.uns["distaff"]["factors"], of_r("factors")
    assert list(factors.index) == list(table.index) == list(of_r("latent").columns)
    assert factors["top_genes"].fillna("").tolist() == table["top_genes"].tolist()
    assert factors["active"].tolist() == table["active"].tolist()
    assert of_r("cells")["label"].tolist() == back.obs["label"].tolist()


@pytest.mark.slow
def test_the_page_runs_with_reticulate(make_adata, tmp_path) -> None:
    needs("reticulate")
    if sys.version_info >= (3, 12):
        pytest.skip("reticulate before 1.35 does not start Python 3.12")
    make_adata(100, 30, covariates=True).write_h5ad(tmp_path / "cells.h5ad")
    code = blocks("r")[3].replace(".venv/bin/python", sys.executable)
    code = code.replace("train(", "train(2L, accelerator = 'cpu', enable_progress_bar = FALSE, ")
    script = tmp_path / "script.R"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(ds.__file__).parents[1])}
    subprocess.run([RSCRIPT, str(script)], cwd=tmp_path, check=True, capture_output=True, env=environment)
    written = anndata.read_h5ad(tmp_path / "from_reticulate.h5ad")
    assert written.obsm["X_distaff"].shape == (100, 10)
    assert len(written.uns["distaff"]["factors"]) == 10
