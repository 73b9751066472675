"""Damaged files and odd arguments end the command in one line and a documented exit code, and leave nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from property_kit import SEEDS, examples, outcome, unchanged
from scipy import sparse

from distaff import pp
from distaff.cli import main

BAD_INPUT, FAILED, DONE = 2, 1, 0
SMALL = ["--max-epochs", "1", "--accelerator", "cpu", "--n-top-genes", "0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A small .h5ad file with a latent."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"condition": pd.Categorical(rng.choice(["ctrl", "stim"], 30)), "age": rng.normal(size=30)},
        index=[f"c{i}" for i in range(30)],
    )
    X = sparse.csr_matrix((rng.poisson(2.0, (30, 12)) + 1).astype(np.float32))
    adata = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(12)]))
    adata.obsm["X_distaff"] = rng.normal(size=(30, 3)).astype(np.float32)
    path = tmp_path_factory.mktemp("whole") / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:  # of argparse
            code = end.code if isinstance(end.code, int) else -1
    return code, out.getvalue(), err.getvalue()


def check_refused(arguments: list[str], folder: Path, *, allowed: tuple[int, ...] = (BAD_INPUT,)) -> int:
    """The command ends in a documented way; unless it succeeds, ``folder`` is as it was."""
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    code, out, err = run(arguments)
    assert code in allowed, (code, err)
    assert "Traceback" not in err
    if code != DONE:
        lines = [line for line in err.splitlines() if "error:" in line]
        assert len(lines) == 1, err
        assert err.rstrip().endswith(lines[0])
        assert len(lines[0]) < 2000
        assert not out
        assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
    return code


def fit(data: Path, folder: Path, *options: str, model: str = "beta") -> list[str]:
    return ["fit", str(data), "--model", model, "--output", str(folder / "out"), *SMALL, *options]


# --- gene sets -------------------------------------------------------------------------------------

GMT = "one\thttp://a\tgene0\tgene1\tgene2\ntwo\tna\tgene3\tgene4\tgene5\tgene6\n"
DAMAGE = {
    "empty": lambda data, rng: b"",
    "blank": lambda data, rng: b"\n \n\t\n",
    "cut": lambda data, rng: data[: int(rng.integers(len(data) + 1))],
    "flipped": lambda data, rng: bytes(
        b ^ (1 << int(rng.integers(8))) if rng.random() < 0.05 else b for b in data
    ),
    "latin-1": lambda data, rng: data.replace(b"one", "größe".encode("latin-1")),
    "UTF-16": lambda data, rng: data.decode().encode("utf-16"),
    "mark": lambda data, rng: b"\xef\xbb\xbf" + data,
    "CRLF": lambda data, rng: data.replace(b"\n", b"\r\n"),
    "CR": lambda data, rng: data.replace(b"\n", b"\r"),
    "zero": lambda data, rng: data.replace(b"gene4", b"ge\0ne4"),
    "spaces": lambda data, rng: data.replace(b"\t", b" "),
    "long line": lambda data, rng: data + b"x" * 2_000_000,
    "long name": lambda data, rng: data.replace(b"one", b"n" * 100_000),
    "many tabs": lambda data, rng: data + b"\t" * 200_000,
    "twice": lambda data, rng: data + data,
    "no genes": lambda data, rng: b"one\thttp\ntwo\t\t\n",
    "other genes": lambda data, rng: data.replace(b"gene", b"ENSG"),
    "binary": lambda data, rng: rng.bytes(3000),
    "gzip": lambda data, rng: gzip.compress(data),
    "cut gzip": lambda data, rng: gzip.compress(data)[: int(rng.integers(2, 60))],
    "flipped gzip": lambda data, rng: DAMAGE["flipped"](gzip.compress(data), rng)[:200] + b"\x1f\x8b",
    "gzip of gzip": lambda data, rng: gzip.compress(gzip.compress(data)),
    "slash": lambda data, rng: data.replace(b"one", b"a/b"),
    "control": lambda data, rng: data.replace(b"one", b"\x07\x1b[31m"),
    "line separator": lambda data, rng: data.replace(b"one", "o\u2028ne\x85".encode()),
}
FINE = {"mark", "CRLF", "CR", "gzip", "slash", "control"}
BAD = {
    "empty",
    "blank",
    "latin-1",
    "UTF-16",
    "zero",
    "spaces",
    "long line",
    "twice",
    "no genes",
    "other genes",
    "cut gzip",
}


@given(damage=st.sampled_from(list(DAMAGE)), seed=SEEDS, copies=st.integers(1, 2))
@examples(70)
def test_files_of_gene_sets(damage, seed, copies) -> None:
    """Read, or refused in one line; ``copies`` of the damage, one on the other."""
    rng = np.random.default_rng(seed)
    data = GMT.encode()
    for _ in range(copies):
        try:
            data = DAMAGE[damage](data, rng)
        except UnicodeDecodeError:
            break
    adata = anndata.AnnData(np.ones((2, 12), dtype=np.float32))
    adata.var_names = [f"gene{i}" for i in range(12)]
    with TemporaryDirectory() as name:
        path = Path(name) / "sets.gmt"
        path.write_bytes(data)
        with unchanged(adata, but=("varm/gene_sets", "uns/gene_sets")):
            done = outcome(lambda: pp.gene_sets(adata, path, min_genes=2) or True, pp.gene_sets)
        if copies == 1:
            assert done or damage not in FINE
            assert not done or damage not in BAD
        if done:
            adata.write_h5ad(Path(name) / "written.h5ad")


@given(damage=st.sampled_from(sorted(BAD)), seed=SEEDS)
@examples(10)
def test_fit_with_bad_gene_sets(whole, damage, seed) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cells.h5ad").write_bytes(whole.read_bytes())
        (folder / "sets.gmt").write_bytes(DAMAGE[damage](GMT.encode(), np.random.default_rng(seed)))
        sets = ["--gene-sets", str(folder / "sets.gmt")]
        check_refused(fit(folder / "cells.h5ad", folder, *sets, model="annotated"), folder)


# --- cells -----------------------------------------------------------------------------------------


def edit(change):
    """Damage that opens the file as HDF5."""

    def damaged(data: bytes, rng: np.random.Generator) -> bytes:
        memory = io.BytesIO(data)
        with h5py.File(memory, "r+") as file:
            change(file)
        return memory.getvalue()

    return damaged


def replace(place: str, value):
    def change(file):
        del file[place]
        file[place] = value

    return edit(change)


def set_attribute(place: str, name: str, value):
    return edit(lambda file: file[place].attrs.__setitem__(name, value))


def drop(place: str):
    return edit(lambda file: file.__delitem__(place))


def flip(share: float):
    def damaged(data: bytes, rng: np.random.Generator) -> bytes:
        values = np.frombuffer(data, dtype=np.uint8).copy()
        chosen = rng.random(len(values)) < share
        values[chosen] ^= (1 << rng.integers(0, 8, chosen.sum())).astype(np.uint8)
        return values.tobytes()

    return damaged


H5AD = {
    "empty": lambda data, rng: b"",
    "cut": lambda data, rng: data[: int(rng.integers(len(data) + 1))],
    "longer": lambda data, rng: data + rng.bytes(100),
    "flipped": flip(0.001),
    "few flipped": flip(0.0001),
    "text": lambda data, rng: b"gene,count\n" * 100,
    "no X": drop("X"),
    "no obs": drop("obs"),
    "no var": drop("var"),
    "no values": drop("X/data"),
    "no row pointers": drop("X/indptr"),
    "X a number": replace("X", 3.0),
    "X text": replace("X", "counts"),
    "X a vector": replace("X", np.ones(30)),
    "X a cube": replace("X", np.ones((30, 12, 2))),
    "X of other cells": replace("X", np.ones((29, 12))),
    "X of booleans": replace("X", np.ones((30, 12), dtype=bool)),
    "X of strings": replace("X", np.full((30, 12), b"x")),
    "X complex": replace("X", np.ones((30, 12), dtype=complex)),
    "genes out of range": replace("X/indices", np.full(360, 99, dtype=np.int32)),
    "genes negative": replace("X/indices", np.full(360, -1, dtype=np.int32)),
    "row pointers back": replace("X/indptr", np.arange(31, dtype=np.int32)[::-1] * 12),
    "row pointers far": replace("X/indptr", np.arange(31, dtype=np.int32) * 1000),
    "few row pointers": replace("X/indptr", np.arange(9, dtype=np.int32)),
    "wrong shape": set_attribute("X", "shape", [30, 5]),
    "huge shape": set_attribute("X", "shape", [2**40, 12]),
    "shape of text": set_attribute("X", "shape", "many"),
    "wrong encoding": set_attribute("X", "encoding-type", "awkward"),
    "unknown encoding": set_attribute("/", "encoding-type", "nonsense"),
    "unknown version": set_attribute("X", "encoding-version", "99"),
    "no index": set_attribute("obs", "_index", "absent"),
    "index a number": set_attribute("var", "_index", 3),
    "absent column": set_attribute("obs", "column-order", ["condition", "absent"]),
    "bad codes": edit(lambda file: file["obs/condition/codes"].__setitem__(slice(None), 99)),
    "short codes": replace("obs/condition/codes", np.zeros(3, dtype=np.int8)),
    "table of other cells": replace("obsm/X_distaff", np.ones((3, 3))),
    "latent missing": edit(lambda file: file["obsm/X_distaff"].__setitem__(0, np.nan)),
    "link to nowhere": edit(lambda file: file.__setitem__("layers/raw", h5py.SoftLink("/nowhere"))),
    "other file": edit(lambda file: file.__setitem__("layers/raw", h5py.ExternalLink("/etc/passwd", "/X"))),
}


# damage that a fit may not see: it would train
UNSEEN = {"longer", "few flipped", "no var", "X of booleans", "latent missing"}


@pytest.mark.parametrize("damage", H5AD)
@given(seed=SEEDS)
@examples(1)
def test_damaged_cells(whole, damage, seed) -> None:
    data = H5AD[damage](whole.read_bytes(), np.random.default_rng(seed))
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "cells.h5ad"
        path.write_bytes(data)
        if damage not in UNSEEN:
            refused = (BAD_INPUT, DONE) if "flipped" in damage or damage == "cut" else (BAD_INPUT,)
            check_refused(fit(path, folder), folder, allowed=refused)
        check_refused(["report", str(path)], folder, allowed=(BAD_INPUT, DONE))


def test_paths_that_are_no_files(whole, tmp_path) -> None:
    (tmp_path / "folder.h5ad").mkdir()
    (tmp_path / "broken.h5ad").symlink_to(tmp_path / "nowhere")
    (tmp_path / "around.h5ad").symlink_to(tmp_path / "around.h5ad")
    os.mkfifo(tmp_path / "pipe.h5ad")
    for name in ("folder", "broken", "around", "pipe", "x" * 300, "nul", "a/b"):
        check_refused(fit(tmp_path / f"{name}.h5ad", tmp_path), tmp_path)
        check_refused(["report", str(tmp_path / f"{name}.h5ad")], tmp_path)
    check_refused(fit(Path("/dev/null"), tmp_path), tmp_path)
    check_refused(["report", str(tmp_path / "folder.h5ad")], tmp_path)
    (tmp_path / "cells.h5ad").write_bytes(whole.read_bytes())
    for sets in ("folder.h5ad", "broken.h5ad", "pipe.h5ad", "absent"):
        options = ["--gene-sets", str(tmp_path / sets)]
        check_refused(fit(tmp_path / "cells.h5ad", tmp_path, *options, model="annotated"), tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(whole, tmp_path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    path.chmod(0)
    check_refused(fit(path, tmp_path), tmp_path, allowed=(BAD_INPUT, FAILED))
    path.chmod(0o600)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o500)
    check_refused(fit(path, tmp_path / "closed"), tmp_path, allowed=(BAD_INPUT, FAILED))


# --- arguments -------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        [
            *(
                "fit",
                "report",
                "demo",
                "cells.h5ad",
                "--model",
                "beta",
                "linear",
                "--output",
                "out",
                "--factors",
            ),
            *(
                "condition",
                "--n-latent",
                "3",
                "0",
                "-1",
                "1e9",
                "nan",
                "--beta",
                "--layer",
                "--key",
                "--groupby",
            ),
            *(
                "--batch-key",
                "--max-epochs",
                "1",
                "--overwrite",
                "--seed",
                "--",
                "-",
                "",
                " ",
                "--=",
                "--model=x",
            ),
            *(
                "--labels-key=age",
                "--init",
                "nmf",
                "--lr",
                "--batch-size",
                "--likelihood",
                "--n-top-genes",
                "99999999999",
            ),
        ]
    ),
    st.text(max_size=5),
)
GIVEN = {
    "--n-latent": ["0", "-3", "x", "1.5", ""],
    "--beta": ["-1", "nan", "inf", "x", "1e999"],
    "--capacity": ["-1", "inf"],
    "--seed": ["-1", "x", "1e3"],
    "--lr": ["0", "-1", "nan"],
    "--batch-size": ["0", "1"],
    "--max-epochs": ["0", "-1", "2e6/N"],
    "--n-top-genes": ["-1", "x"],
    "--layer": ["absent", "", "X"],
    "--batch-key": ["absent", "", "age "],
    "--labels-key": ["absent"],
    "--factors": ["", ",", "absent", "condition,absent"],
    "--categorical-covariate-keys": ["absent", ","],
    "--continuous-covariate-keys": ["condition", "absent"],
    "--key": ["", "a/b"],
    "--init": ["svd"],
    "--likelihood": ["gauss"],
    "--output": ["/dev/null", "\0", "~nobody-of-this-name/out"],
    "--gene-sets": ["absent.gmt"],
    "--target-active": ["1"],
    "--accelerator": ["abacus"],
}


@given(words=st.lists(WORDS, max_size=6))
@example(["fit", "\0", "--model", "beta", "--output", "out"])
@example(["report", "\0"])
@example(["report", "~nobody-of-this-name/x"])
@example(["report", "x", "--output", "\0"])
@examples(60)
def test_lines_of_words(whole, words) -> None:
    """No training comes of them: the only file that they can name does not exist."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        here = Path.cwd()
        os.chdir(folder)
        try:
            check_words([word for word in words if word != "demo"], folder)
        finally:
            os.chdir(here)


def check_words(words: list[str], folder: Path) -> None:
    code, _, err = run(words)
    assert code == BAD_INPUT, (code, err)
    assert "Traceback" not in err
    assert "error:" in err
    assert not list(folder.iterdir())


@given(option=st.sampled_from([(name, value) for name, values in GIVEN.items() for value in values]))
@examples(60, long=2)
def test_options_out_of_range(whole, option) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cells.h5ad").write_bytes(whole.read_bytes())
        check_refused(fit(folder / "cells.h5ad", folder, *option), folder)


@pytest.mark.slow  # tests/cli/test_main.py starts one too
def test_processes_end_with_the_exit_code(whole, tmp_path) -> None:
    (tmp_path / "cells.h5ad").write_bytes(whole.read_bytes()[:5000])
    command = [sys.executable, "-m", "distaff", *fit(tmp_path / "cells.h5ad", tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == BAD_INPUT
    assert done.stderr.splitlines()[-1].startswith("distaff: error: DATA must be an .h5ad file")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]
