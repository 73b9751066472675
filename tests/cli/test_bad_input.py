"""Bad input ends with exit code 2, one line, and no trace on the disk."""

import h5py
import numpy as np
import pytest

from distaff.cli import main


def log_normalised(adata):
    adata.X = adata.X.log1p()


def not_finite(adata):
    adata.X.data[3] = np.nan


def negative(adata):
    adata.X.data[3] = -1


def empty_cell(adata):
    matrix = adata.X.toarray()
    matrix[5] = 0
    adata.X = matrix


def repeated_gene(adata):
    adata.var_names = ["gene0", *adata.var_names[:-1]]


def one_cell(adata):
    adata._inplace_subset_obs(slice(0, 1))


def batch_with_gaps(adata):
    adata.obs.loc["cell3", "batch"] = np.nan


def age_with_gaps(adata):
    adata.obs.loc["cell3", "age"] = np.nan


def tiny_batch(adata):
    adata.obs["batch"] = ["tiny"] * 2 + ["rest"] * 118


def without_layers(adata):
    log_normalised(adata)
    del adata.layers["counts"]


def counts_in_raw(adata):
    adata.raw = adata.copy()
    without_layers(adata)


def no_X(adata):
    adata.X = None


def sparse_genes(adata):
    """One gene for all cells, the others in the first half: the most variable ones leave cells empty."""
    matrix = adata.X.toarray()
    matrix[60:] = 0
    matrix[:, -1] = 2
    adata.X = matrix


# change of the data, options, what the message must say
CASES = {
    "log-normalised": (
        log_normalised,
        [],
        [
            "adata.X must hold counts",
            "'cell0'",
            "counts: 'counts'. Pass --layer counts",
            "--likelihood normal",
        ],
    ),
    "log-normalised alone": (without_layers, [], ["such values). No layer of the file holds counts"]),
    "counts in raw": (counts_in_raw, [], ["such values). The counts are in raw", "raw.to_adata()"]),
    "no X": (no_X, [], ["adata.X must hold counts, got None. Layers with counts: 'counts'. Pass --layer"]),
    "nan": (not_finite, [], ["adata.X must be finite", "nan"]),
    "negative": (negative, [], ["adata.X must not be negative"]),
    "empty cell": (empty_cell, [], ["Every cell of adata.X must have counts", "'cell5'"]),
    "repeated gene": (repeated_gene, [], ["var_names must be unique", "'gene0'"]),
    "one cell": (one_cell, [], ["at least 2 cells"]),
    "option of another model": (
        None,
        ["--target-active", "2"],
        ["--model beta", "--target-active", "--beta"],
    ),
    "gene sets for another model": (
        None,
        ["--gene-sets", "x.gmt"],
        ["--model annotated", "--model beta with"],
    ),
    "layer": (None, ["--layer", "raw"], ["layer must name a layer", "'raw'", "'counts'"]),
    "batch": (None, ["--batch-key", "lane"], ["batch_key must name a column", "'lane'", "'condition'"]),
    "batch with gaps": (batch_with_gaps, ["--batch-key", "batch"], ["'batch'", "missing", "'cell3'"]),
    "labels": (None, ["--labels-key", "lane"], ["labels_key must name a column", "'lane'"]),
    "categorical": (
        None,
        ["--categorical-covariate-keys", "batch,lane"],
        ["categorical_covariate_keys", "'lane'"],
    ),
    "continuous": (None, ["--continuous-covariate-keys", "condition"], ["'condition'", "must hold numbers"]),
    "continuous with gaps": (
        age_with_gaps,
        ["--continuous-covariate-keys", "age"],
        ["must be finite", "'cell3'"],
    ),
    "factor": (
        None,
        ["--factors", "condition,cell_tipe"],
        ["--factors must name", "'cell_tipe'. The columns are 'cell_type', ", "the tables are 'X_pca'."],
    ),
    "batch too small for genes": (
        tiny_batch,
        ["--batch-key", "batch", "--n-top-genes", "5"],
        ["Every batch in obs column 'batch'", "got too few in 'tiny (2 cells)'. Pass --n-top-genes 0"],
    ),
    "genes": (sparse_genes, ["--n-top-genes", "5"], ["5 most variable genes", "--n-top-genes"]),
    "genes of real values": (
        log_normalised,
        ["--likelihood", "normal", "--n-top-genes", "5"],
        ["--n-top-genes needs counts"],
    ),
}


def error_line(capsys):
    """The one line that says what is wrong, the last on stderr."""
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if "error:" in line]
    assert out == ""
    assert "Traceback" not in err
    assert len(errors) == 1
    assert err.endswith(errors[0] + "\n")
    return errors[0]


@pytest.mark.parametrize("case", CASES)
def test_data(case, write, fit, tmp_path, capsys):
    change, options, words = CASES[case]
    assert fit(write(change), *options) == 2
    line = error_line(capsys)
    assert line.startswith("distaff: error: ")
    assert all(word in line for word in words), line
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_advice_is_in_words_of_the_shell(write, fit, capsys):
    assert fit(write(log_normalised)) == 2
    line = error_line(capsys)
    assert not any(word in line for word in ("layer=", "allow_non_integer", "adata.raw")), line


def test_the_reason_of_a_regression_is_text(write, fit, capsys, monkeypatch):
    def refuse(*_, **__):
        raise ValueError(b"near singularities")

    monkeypatch.setattr("scanpy.pp.highly_variable_genes", refuse)
    assert fit(write(), "--n-top-genes", "5") == 2
    assert "find the most variable ones, got near singularities. Pass --n-top-genes 0" in error_line(capsys)


def test_missing_file(fit, tmp_path, capsys):
    assert fit(str(tmp_path / "none.h5ad")) == 2
    assert "must be an existing .h5ad file" in error_line(capsys)


def test_text_file(fit, tmp_path, capsys):
    (tmp_path / "cells.h5ad").write_text("gene,count\n")
    assert fit(str(tmp_path / "cells.h5ad")) == 2
    assert "must be an .h5ad file" in error_line(capsys)


def test_cut_file(write, fit, tmp_path, capsys):
    path = tmp_path / write()
    path.write_bytes(path.read_bytes()[:5000])
    assert fit(str(path)) == 2
    assert "must be an .h5ad file" in error_line(capsys)


def test_hdf5_of_another_kind(fit, tmp_path, capsys):
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["image"] = np.ones(3)
    assert fit(str(tmp_path / "cells.h5ad")) == 2
    error_line(capsys)


ARGUMENTS = {
    "no command": [],
    "unknown command": ["fitt"],
    "no output": ["fit", "x.h5ad", "--model", "beta"],
    "no model": ["fit", "x.h5ad", "--output", "out"],
    "unknown model": ["fit", "x.h5ad", "--model", "gamma", "--output", "out"],
    "unknown option": ["demo", "--cells", "10"],
    "no number": ["demo", "--n-cells", "many"],
    "too few": ["demo", "--max-epochs", "0"],
    "negative seed": ["demo", "--seed", "-1"],
    "negative beta": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--beta", "-1"],
    "infinite beta": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--beta", "inf"],
    "learning rate 0": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--lr", "0"],
    "no factors": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--factors", ","],
    "key": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--key", "a/b"],
    "epochs": ["fit", "x.h5ad", "--model", "beta", "--output", "out", "--max-epochs", "1e6/M"],
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(case, capsys):
    with pytest.raises(SystemExit) as end:
        main(ARGUMENTS[case])
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_debug_shows_where(fit, tmp_path):
    with pytest.raises(Exception, match="must be an existing"):
        fit(str(tmp_path / "none.h5ad"), "--debug")
