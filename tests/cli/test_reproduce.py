"""``distaff reproduce`` with a study of squares."""

import json

import pandas as pd
import pytest

from distaff.cli import main, reproduce
from distaff.papers import Study, Trial
from distaff.papers._table import Claim, Table, claims_table


class Squares:
    """A study whose trials are squares; ``broken`` ones fail, ``stop`` interrupts."""

    def __init__(self):
        self.done, self.broken, self.stop = [], set(), set()

    def trials(self, full, seed, data=None):
        if data is not None:
            seed += int(data.read_text())
        return [Trial(f"x={x}", {"x": x}) for x in range(seed, seed + (4 if full else 2))]

    def work(self, settings):
        x = settings["x"]
        if x in self.stop:
            raise KeyboardInterrupt
        if x in self.broken:
            raise ValueError("broken")
        self.done.append(x)
        return {"square": x**2}

    def tables(self, outcome):
        total = float(outcome.table()["square"].sum())
        claim = Claim("Fig. 1", "sum of squares", 1.0, total, total == 1.0, "equal")
        return [claims_table([claim]), Table("squares", "Squares", outcome.table(), "Of whole numbers.")]

    def draw(self, outcome, folder):
        (folder / "squares.txt").write_text(str(len(outcome.results)))


@pytest.fixture
def squares(monkeypatch):
    study = Squares()
    parts = {"work": study.work, "trials": study.trials, "tables": study.tables, "draw": study.draw}
    monkeypatch.setitem(
        reproduce.STUDIES, "kimmel", Study(name="kimmel", paper="Squares (1)", inputs=("data",), **parts)
    )
    return study


@pytest.fixture
def call(tmp_path):
    return lambda *options: main(["reproduce", "kimmel", "--output", str(tmp_path / "out"), *options])


def test_files_and_verdicts(squares, call, tmp_path, capsys):
    assert call() == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Written to {tmp_path / 'out'}:")
    assert "distaff: trial 2 of 2, x=1" in err
    text = (tmp_path / "out/tables.md").read_text()
    assert text.startswith("# Squares (1)\n")
    assert "| Fig. 1 | sum of squares | 1 | 1 | agrees | equal |  |" in text
    record = json.loads((tmp_path / "out/tables.json").read_text())
    assert (record["preset"], record["seed"], record["failed"]) == ("small", 0, {})
    assert pd.DataFrame(record["tables"]["squares"]["rows"])["square"].to_list() == [0, 1]
    assert (tmp_path / "out/figures/squares.txt").read_text() == "2"


def test_goes_on_with_more_trials(squares, call, tmp_path):
    assert call() == 0
    assert call("--full") == 0
    assert squares.done == [0, 1, 2, 3]
    assert "| differs |" in (tmp_path / "out/tables.md").read_text()


def test_failed_trials_are_named_and_tried_again(squares, call, tmp_path, capsys):
    squares.broken = {1}
    assert call() == 1
    out, err = capsys.readouterr()
    assert "Written to" in out
    assert "error: 1 trials failed, the first x=1 (ValueError: broken)" in err
    assert "| x=1 | ValueError: broken |" in (tmp_path / "out/tables.md").read_text()
    squares.broken = set()
    assert call() == 0
    assert squares.done == [0, 1]
    assert "Failed" not in (tmp_path / "out/tables.md").read_text()


def test_when_all_fail_the_tables_say_so(squares, call, tmp_path):
    squares.broken = {0, 1}
    assert call() == 1
    assert "| x=0 | ValueError: broken |" in (tmp_path / "out/tables.md").read_text()


def test_interrupted_it_says_how_to_go_on(squares, call, tmp_path, capsys):
    squares.stop = {1}
    assert call() == 130
    assert f"kept in {tmp_path / 'out'}: the same command goes on" in capsys.readouterr().err
    squares.stop = set()
    assert call() == 0
    assert squares.done == [0, 1]


def test_default_folder(squares, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "kimmel"]) == 0
    assert (tmp_path / "distaff-kimmel/tables.md").is_file()


@pytest.mark.parametrize("there", ["file", "folder of others", "no parent", "another command"])
def test_bad_output(there, squares, call, tmp_path, capsys):
    target = tmp_path / "out"
    if there == "file":
        target.write_text("mine")
    elif there == "folder of others":
        target.mkdir()
        (target / "thesis.md").write_text("mine")
    elif there == "another command":
        target.mkdir()
        record = {"command": "fit", "versions": {"distaff": "1"}, "files": []}
        (target / "run.json").write_text(json.dumps(record))
    options = ["--output", str(tmp_path / "no/out")] if there == "no parent" else []
    assert call(*options) == 2
    assert "error: --output must" in capsys.readouterr().err
    assert squares.done == []


def test_files_of_the_user(squares, call, tmp_path, capsys):
    file = tmp_path / "number.txt"
    file.write_text("7")
    assert call("--data", str(file)) == 0
    assert squares.done == [7, 8]
    assert call("--data", str(tmp_path / "absent")) == 2
    assert call("--gene-sets", str(file)) == 2
    err = capsys.readouterr().err
    assert "error: --data must be a file, got" in err
    assert "error: --gene-sets must be left out of kimmel, got" in err


@pytest.mark.parametrize("options", [["fourier"], ["kimmel", "--seed", "-1"]])
def test_bad_arguments(options, capsys):
    with pytest.raises(SystemExit) as end:
        main(["reproduce", *options])
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err
