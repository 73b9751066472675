"""What the README shows exists: its test command, the subcommands, the names of the API."""

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


def test_names_of_the_api_exist() -> None:
    for block in blocks("python"):
        compile(block, "README.md", "exec")
    for room, name in sorted(set(re.findall(r"\bds\.([a-z]+)\.(\w+)", "\n".join(blocks("python"))))):
        assert hasattr(import_module(f"distaff.{room}"), name), f"ds.{room}.{name}"
