import logging
import subprocess
import sys
import warnings

import pandas as pd
import pytest

import distaff as ds
from distaff.cli import main
from distaff.cli._errors import InputError, input_stage, one_line
from distaff.cli._quiet import log, quiet
from distaff.cli._table import format_table


def test_as_a_process():
    done = subprocess.run(
        [sys.executable, "-m", "distaff", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert ds.__version__ in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("option", "text"), [("--help", "usage: distaff"), ("--version", ds.__version__)])
def test_of_the_command_itself(option, text, capsys):
    with pytest.raises(SystemExit) as end:
        main([option])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert text in out
    assert err == ""


@pytest.mark.parametrize("command", ["demo", "fit", "report", "reproduce", "sweep"])
def test_help_of_commands(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert "--output" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (InputError("x must be y"), 2, "error: x must be y"),
        (ds.train.DivergenceError("loss is nan"), 1, "error: loss is nan"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted, nothing was written"),
    ],
    ids=["input", "divergence", "disk", "ctrl-c"],
)
def test_exit_codes(problem, code, words, monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise problem

    monkeypatch.setattr(ds.datasets, "simulate_gep", fail)
    assert main(["demo", "--output", str(tmp_path / "out")]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"distaff: {words}"
    assert list(tmp_path.iterdir()) == []


def test_other_exits_pass(monkeypatch, tmp_path):
    monkeypatch.setattr(ds.datasets, "simulate_gep", lambda *_, **__: sys.exit(3))
    with pytest.raises(SystemExit) as end:
        main(["demo", "--output", str(tmp_path / "out")])
    assert end.value.code == 3


def test_messages_of_key_errors_have_no_quotes():
    assert one_line(KeyError("no\ncolumn 'a'")) == "no column 'a'"
    assert one_line(ValueError()) == "ValueError"


def test_input_stage_lets_bugs_through():
    with pytest.raises(ZeroDivisionError), input_stage():
        _ = 1 / 0


def test_quiet_shows_our_warnings_only(capsys):
    level = logging.getLogger("lightning.pytorch").level
    with quiet():
        print("chatter")
        warnings.warn_explicit("ours", UserWarning, ds.__file__, 1)
        warnings.warn_explicit("theirs", UserWarning, "/lib/other.py", 1)
        warnings.warn_explicit("deprecated", FutureWarning, ds.__file__, 1)
        logging.getLogger("lightning.pytorch").warning("GPU available")
        log("said")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["distaff: warning: ours", "distaff: said"]
    assert logging.getLogger("lightning.pytorch").level == level


def test_bars_go_to_a_watched_stderr(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with quiet():
        print("bar")
    assert capsys.readouterr() == ("", "bar\n")


def test_table_with_text_and_gaps():
    table = pd.DataFrame({"a": [1, None], "name": ["x", "yy"]}, index=["row", "other"])
    assert format_table(table).splitlines() == [
        "          a  name",
        "-----------------",
        "row    1.00     x",
        "other     -    yy",
    ]


def test_table_without_rows():
    assert format_table(pd.DataFrame({"a": []})).splitlines() == ["  a", "---"]
