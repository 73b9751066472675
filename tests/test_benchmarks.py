"""What the benchmarks compute from their measurements."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the source distribution has no benchmarks")


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import _timing

    yield _timing
    del sys.modules["_timing"]


@pytest.fixture
def report(timing):
    import _speed_report

    yield _speed_report
    del sys.modules["_speed_report"]


def test_exponent(timing):
    sizes = [10, 100, 1000]
    assert timing.exponent(sizes, [3 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    assert timing.exponent(sizes, [2.0, 2.0, 2.0]) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="needs two sizes, got 1"):
        timing.exponent([10, 10], [1.0, 2.0])


def test_each_task_has_its_turn_and_the_least_time_counts(timing):
    turns, ticks = [], iter([0, 5, 5, 6, 6, 8, 8, 18])
    tasks = {name: lambda name=name: turns.append(name) for name in ("a", "b")}
    assert timing.interleaved(tasks, n_rounds=2, now=lambda: next(ticks)) == {"a": 2, "b": 1}
    assert turns == ["a", "b", "a", "b"]


def test_markdown(timing):
    text = timing.markdown(["x", "y"], [["one", 1234.5], ["two", 0.01234], [None, 3]])
    assert text.splitlines() == [
        "| x | y |",
        "| --- | --- |",
        "| one | 1,234 |",
        "| two | 0.0123 |",
        "|  | 3 |",
    ]


ROWS = [
    {
        "what": "linear",
        "setting": "batch 128",
        "unit": "ms a step",
        "values": {"LinearVAE": 2.0, "LinearSCVI": 20.0},
        "losses": {"LinearVAE": 900.0, "LinearSCVI": None},
    },
    {"what": "gene sets", "setting": "", "unit": "s", "values": {"AnnotatedVAE": 1.0}, "losses": {}},
    {
        "what": "exponent in cells",
        "setting": "1 to 2",
        "unit": "",
        "values": {"LinearVAE, epoch": 1.0},
        "losses": {},
        "sizes": [1, 2],
        "points": {"LinearVAE, epoch": [1.0, 2.0]},
    },
]


def test_table(report):
    lines = report.table(ROWS).splitlines()
    assert lines[2] == "| linear | batch 128 | ms a step | 2 | 20 | LinearSCVI | 10 | 900 |  |"
    assert lines[3] == "| gene sets |  | s | 1 |  | no peer installed |  |  |  |"
    assert lines[4] == "| exponent in cells | 1 to 2; LinearVAE, epoch |  | 1 |  |  |  |  |  |"
    assert len(lines) == 5


def test_files(report, tmp_path):
    report.write(tmp_path, ROWS, {"distaff": "1", "drvi-py": None}, "python benchmarks/speed.py")
    record = json.loads((tmp_path / "speed.json").read_text())
    assert record["rows"][0]["values"]["LinearVAE"] == 2.0
    text = (tmp_path / "speed.md").read_text()
    assert text.startswith("`python benchmarks/speed.py` on ")
    assert "drvi-py not installed" in text
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def ranks(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER / "peers")
    import ranks

    yield ranks
    del sys.modules["ranks"]


def run_of(method, data, seed, **scores):
    return {"method": method, "data": data, "seed": seed, "scores": scores, "seconds": 2.0 + seed}


def test_mean_ranks_share_ties_and_skip_scores_that_are_not_there(ranks):
    records = [
        run_of("a", "x", 0, lms=0.9, mig=0.5, spn=0.1),
        run_of("b", "x", 0, lms=0.8, mig=0.5, spn=0.3),
        run_of("c", "x", 0, lms=0.7, mig=0.6, spn=float("nan")),
    ]
    table = ranks.mean_ranks(records, ["lms", "mig", "spn", "absent"])
    assert table[("x", 0)].to_dict() == {"a": (1 + 2.5) / 2, "b": (2 + 2.5) / 2, "c": (3 + 1) / 2}


def test_only_runs_that_all_methods_have_count(ranks):
    records = [
        *(run_of("a", "x", seed, lms=0.9) for seed in (0, 1)),
        run_of("b", "x", 0, lms=0.8),
        run_of("a", "y", 0, lms=0.2),
        run_of("b", "y", 0, lms=0.3),
        run_of("c", "x", 0, lms=1.0),
        {"method": "d", "data": "x", "seed": 0, "absent": "not installed"},
    ]
    table = ranks.mean_ranks(records, ["lms"])
    assert list(table.index) == ["a", "b"]  # c has no result for y, d none at all
    assert list(table.columns) == [("x", 0), ("y", 0)]
    assert table.loc["a"].tolist() == [1.0, 2.0]


def test_means_over_seeds(ranks):
    records = [*(run_of("a", "x", seed, lms=0.1 * seed) for seed in (0, 1)), run_of("b", "y", 1, lms=0.5)]
    assert ranks.value_table(records, "seconds").loc["a", "x"] == 2.5
    assert ranks.value_table(records, "lms").loc["a", "x"] == pytest.approx(0.05)
    assert ranks.value_table(records, "lms").isna().loc["b", "x"]
