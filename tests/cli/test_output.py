"""Results appear whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import distaff as ds
from distaff.cli._output import check_apart, check_target, output_folder, write_record


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def make(target, *, overwrite=False, text="new"):
    with output_folder(target, overwrite=overwrite) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text(text)
        assert not overwrite or (target / "sub" / "a.txt").read_text() == "old"
        write_record(folder, "test", {})


def test_appears_at_the_end(tmp_path):
    with output_folder(tmp_path / "out", overwrite=False) as folder:
        assert not (tmp_path / "out").exists()
        (folder / "a.txt").write_text("a")
    assert left(tmp_path) == ["out"]
    assert left(tmp_path / "out") == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_has_the_permissions_of_any_new_folder(tmp_path):
    make(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_fills_an_empty_folder(tmp_path):
    (tmp_path / "out").mkdir()
    check_target(tmp_path / "out", overwrite=False)
    make(tmp_path / "out")
    assert left(tmp_path / "out") == ["run.json", "sub"]


@pytest.mark.parametrize("problem", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_leaves_what_was_there(tmp_path, problem, overwrite):
    if overwrite:
        make(tmp_path / "out", text="old")
    with pytest.raises(type(problem)), output_folder(tmp_path / "out", overwrite=overwrite) as folder:
        (folder / "a.txt").write_text("a")
        raise problem
    assert left(tmp_path) == (["out"] if overwrite else [])
    assert not overwrite or (tmp_path / "out" / "sub" / "a.txt").read_text() == "old"


def test_failure_of_the_last_step_puts_the_old_results_back(tmp_path, monkeypatch):
    make(tmp_path / "out", text="old")
    rename = Path.rename

    def fail(self, target):
        if self.parent.name.endswith(".partial"):
            raise OSError("disk")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="disk"):
        make(tmp_path / "out", overwrite=True)
    assert left(tmp_path) == ["out"]
    assert (tmp_path / "out" / "sub" / "a.txt").read_text() == "old"


def test_overwrite_replaces_all(tmp_path):
    make(tmp_path / "out", text="old")
    check_target(tmp_path / "out", overwrite=True)
    make(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "sub" / "a.txt").read_text() == "new"
    assert left(tmp_path) == ["out"]


KILLED = """
import os, signal, sys
from pathlib import Path
from distaff.cli._output import output_folder, write_record
rename, left = Path.rename, [int(sys.argv[2])]
def counted(self, target):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = counted
with output_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("new")
    write_record(folder, "test", {})
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("step", [0, 1, 2])
def test_killed_while_results_are_replaced(tmp_path, step):
    """Between the two steps they have another name; the next command gives it back."""
    target = tmp_path / "out"
    make(target, text="old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), str(step)], check=False)
    assert done.returncode == (0 if step == 2 else -signal.SIGKILL)
    assert target.exists() == (step != 1)
    check_target(target, overwrite=True)
    assert (target / "sub" / "a.txt").read_text() == ("new" if step == 2 else "old")
    make(target, overwrite=True) if step < 2 else None
    assert left(tmp_path) == ["out"]


def test_results_that_appeared_meanwhile_are_kept(tmp_path):
    with pytest.raises(OSError), output_folder(tmp_path / "out", overwrite=False):  # noqa: PT011  by platform
        make(tmp_path / "out", text="other")
    assert (tmp_path / "out" / "sub" / "a.txt").read_text() == "other"
    assert left(tmp_path) == ["out"]


def test_results_need_overwrite(tmp_path):
    make(tmp_path / "out")
    with pytest.raises(ValueError, match="--overwrite"):
        check_target(tmp_path / "out", overwrite=False)


@pytest.mark.parametrize("where", ["notes.txt", "sub/notes.txt"])
def test_overwrite_spares_files_of_others(tmp_path, where):
    make(tmp_path / "out")
    (tmp_path / "out" / where).write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        check_target(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("record", [None, "{", "[]", '{"files": ["notes.txt", "run.json"], "versions": {}}'])
def test_overwrite_spares_folders_of_others(tmp_path, record):
    (tmp_path / "notes.txt").write_text("mine")
    if record is not None:
        (tmp_path / "run.json").write_text(record)
    with pytest.raises(ValueError, match="what distaff wrote"):
        check_target(tmp_path, overwrite=True)


def test_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="must be a folder"):
        check_target(tmp_path / "out", overwrite=True)


def test_folder_above_must_exist(tmp_path):
    with pytest.raises(ValueError, match="existing folder"):
        check_target(tmp_path / "a" / "out", overwrite=False)


def test_current_folder_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="can be replaced"):
        check_target(tmp_path, overwrite=False)


def test_input_inside_the_output(tmp_path):
    with pytest.raises(ValueError, match="must not hold the input"):
        check_apart(tmp_path / "out" / "adata.h5ad", tmp_path / "out")


def test_failure_of_a_run_leaves_nothing(write, fit, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(ds.model.BetaVAE, "save", fail)
    assert fit(write()) == 1
    assert left(tmp_path) == ["cells.h5ad"]


def test_bug_keeps_its_traceback_and_leaves_nothing(write, fit, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("bug")

    monkeypatch.setattr(ds.model.BetaVAE, "save", fail)
    with pytest.raises(ValueError, match="bug"):
        fit(write())
    assert left(tmp_path) == ["cells.h5ad"]


def test_failure_of_a_run_with_overwrite_keeps_the_old(write, fit, tmp_path, monkeypatch):
    data = write()
    assert fit(data) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert fit(data) == 2
    with monkeypatch.context() as patch:
        patch.setattr(ds.model.BetaVAE, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
        assert fit(data, "--overwrite") == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert fit(data, "--overwrite", "--seed", "1") == 0
    assert (tmp_path / "out" / "model" / "model.pt").read_bytes() != before[
        tmp_path / "out" / "model" / "model.pt"
    ]
    assert left(tmp_path) == ["cells.h5ad", "out"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_signal_in_training(write, tmp_path, number, code):
    command = [sys.executable, "-m", "distaff", "fit", write(), "--model", "beta", "--max-epochs", "100000"]
    command += ["--output", str(tmp_path / "out")]
    # a shell that runs in the background has its children ignore SIGINT; ours must hear it
    hear = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear) as run:
        lines = [""]
        while "training" not in lines[-1]:
            lines.append(run.stderr.readline())
            assert lines[-1], lines
        time.sleep(3)
        run.send_signal(number)
        try:
            _, err = run.communicate(timeout=60)
        finally:
            run.kill()  # one that did not hear would train for days
    assert run.returncode == code, err
    assert err.splitlines()[-1].endswith("nothing was written")
    assert "Traceback" not in err
    assert left(tmp_path) == ["cells.h5ad"]
