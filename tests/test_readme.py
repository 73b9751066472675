"""What the README shows runs or exists: its code, its test command, the subcommands."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
STUB_LINES = 5  # a README no longer than this is not written yet


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.skipif(len(TEXT.splitlines()) <= STUB_LINES, reason="the README is not written yet")
def test_test_command_is_one_line_after_its_marker() -> None:
    found = re.findall(r"^<!-- test-command -->\n\s*```bash\n(.*?)^```$", TEXT, re.M | re.S)
    assert len(found) == 1, "one <!-- test-command --> followed by a bash block"
    (command,) = found[0].splitlines()
    assert "pytest" in command


def test_subcommands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    named = {name for block in blocks("bash") for name in re.findall(r"\bdistaff ([a-z][a-z-]*)\b", block)}
    main = import_module("distaff.cli").main if named else None
    for name in sorted(named):
        with pytest.raises(SystemExit) as done:
            main([name, "--help"])
        assert done.value.code == 0, f"distaff {name} --help: {capsys.readouterr().err}"


@pytest.mark.slow
def test_code_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    small = block.replace("2_000, 1_000", "300, 200").replace("seed=0", "10, seed=0")
    assert small.count("300, 200") == small.count("10, seed=0") == 1
    exec(compile(small, "README.md", "exec"), {})
    assert Path("report.html").is_file()
    assert Path("my_model", "model.json").is_file()
