import json

import anndata
import numpy as np
import pytest

from distaff.cli import main


@pytest.fixture(scope="module")
def folder(cells, tmp_path_factory):
    """Output of a small fit under a key of its own."""
    parent = tmp_path_factory.mktemp("report")
    cells.write_h5ad(parent / "cells.h5ad")
    options = "--model linear --n-latent 3 --max-epochs 2 --accelerator cpu --key mine --n-top-genes 25"
    assert main(["fit", str(parent / "cells.h5ad"), *options.split(), "--output", str(parent / "out")]) == 0
    return parent / "out"


def test_page_of_a_run_goes_into_its_folder(folder, capsys):
    assert main(["report", str(folder), "--groupby", "condition,batch", "--overwrite"]) == 0
    out, err = capsys.readouterr()
    assert str(folder / "report.html") in out
    assert "error" not in err
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert '"key":"mine"' in text
    assert '"name":"batch"' in text
    record = json.loads((folder / "run.json").read_text())
    assert "report.html" in record["files"]
    assert record["command"] == "fit"


def test_fit_may_replace_a_folder_with_a_page(write, fit, tmp_path):
    data = write()
    assert fit(data) == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    assert fit(data, "--overwrite") == 0
    assert not (tmp_path / "out" / "report.html").exists()


def test_fitted_factors_have_ranks(folder):
    table = anndata.read_h5ad(folder / "adata.h5ad").uns["mine"]["factors"]
    assert sorted(table["rank"]) == [1, 2, 3]
    assert table["top_genes"].str.len().min() > 0


def test_page_of_a_model_without_loadings_has_genes(write, fit, tmp_path):
    assert fit(write(), "--n-top-genes", "25") == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '"source":"traversal"' in text
    assert '"n_genes":40,"n_modelled":25' in text


def test_page_of_a_file_lies_beside_it(write, tmp_path):
    path = write(lambda adata: adata.obsm.__setitem__("X_distaff", np.ones((120, 2))))
    assert main(["report", path]) == 0
    assert (tmp_path / "cells.html").is_file()
    assert main(["report", path, "--output", str(tmp_path / "other.html")]) == 0
    assert (tmp_path / "other.html").read_bytes() == (tmp_path / "cells.html").read_bytes()


def test_page_is_replaced_on_request_only(write, tmp_path, capsys):
    path = write()
    (tmp_path / "cells.html").write_text("mine")
    assert main(["report", path, "--key", "pca"]) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert (tmp_path / "cells.html").read_text() == "mine"
    assert main(["report", path, "--key", "pca", "--overwrite"]) == 0
    assert (tmp_path / "cells.html").read_text().startswith("<!DOCTYPE html>")


BAD = {
    "no such file": (["none.h5ad"], "DATA must be an existing .h5ad file"),
    "no run": (["."], "must be the output folder of distaff fit"),
    "no latent": (["cells.h5ad"], "adata.obsm must hold the latent 'X_distaff'"),
    "no column": (["cells.h5ad", "--key", "pca", "--groupby", "lane"], "groupby must name a column"),
    "no folder": (["cells.h5ad", "--output", "no/a.html"], "--output must be a file in an existing folder"),
    "input": (["cells.h5ad", "--output", "cells.h5ad", "--overwrite"], "--output must not be the input"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, write, tmp_path, monkeypatch, capsys):
    arguments, words = BAD[case]
    write()
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "cells.h5ad").read_bytes()
    assert main(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]
    assert (tmp_path / "cells.h5ad").read_bytes() == before


def test_full_disk_is_no_bad_input(write, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = write()
    monkeypatch.setattr("os.fsync", fail)
    assert main(["report", path, "--key", "pca"]) == 1
    assert "No space left" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["cells.h5ad"]
