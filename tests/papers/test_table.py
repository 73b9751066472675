"""Tables of a study."""

import json

import numpy as np
import pandas as pd
import pytest

from distaff.papers._table import Claim, Table, claims_table, markdown, write_tables


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (0.123456, "0.123"),
        (1e-7, "1e-07"),
        (12345.6, "12,346"),
        (np.int64(25_000), "25,000"),
        (np.nan, ""),
        (None, ""),
        ("a | b\nc", "a \\| b c"),
    ],
)
def test_cells(value, cell):
    assert markdown(pd.DataFrame({"x": [value]}, dtype=object)).splitlines()[-1] == f"| {cell} |"


def test_verdicts():
    claims = [Claim("1", "x", 1.0, 2.0, agrees, "rule") for agrees in (True, False, None)]
    assert claims_table(claims).frame["verdict"].to_list() == ["agrees", "differs", "not measured"]


def test_json_is_strict_and_text_has_notes_and_failures(tmp_path):
    table = Table("t", "Title", pd.DataFrame({"a": [1.5, np.nan, np.inf]}), "A note.")
    about = {"seed": 0, "version": "1"}
    write_tables(tmp_path, [table], heading="Study", about=about, failed={"one": "Error: no"})
    text = (tmp_path / "tables.json").read_text()
    record = json.loads(text, parse_constant=pytest.fail)
    assert record["tables"]["t"]["rows"] == [{"a": 1.5}, {"a": None}, {"a": None}]
    assert record["failed"] == {"one": "Error: no"}
    page = (tmp_path / "tables.md").read_text()
    assert page.index("## Failed trials") < page.index("## Title") < page.index("A note.")
    assert "seed: 0, version: 1" in page
    assert not list(tmp_path.glob("*.partial"))
