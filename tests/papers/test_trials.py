"""Trials are kept, not done twice, and fail alone."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from distaff.papers import Processes, Trial, _trials, run_trials

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the processes that import the work, too

from work import fragile, square  # noqa: E402


def trials(*hows):
    return [Trial(f"x={i}", {"x": i, **({"how": how} if how else {})}) for i, how in enumerate(hows)]


def run(folder, todo, work=fragile, *, runner=None):
    said = []
    return run_trials(folder, todo, work, say=said.append, runner=runner), said


RUNNERS = {"in turn": None, "processes": Processes(2)}


@pytest.mark.parametrize("how", RUNNERS)
def test_results_in_order_with_values_and_arrays(how, tmp_path):
    outcome, said = run(tmp_path, trials(None, None, None), square, runner=RUNNERS[how])
    assert [result.values for result in outcome.results] == [
        {"square": i**2, "nothing": None} for i in range(3)
    ]
    np.testing.assert_array_equal(outcome.results[2].array("row"), [0, 1])
    assert outcome.failed == {}
    assert list(outcome.table()["square"]) == [0, 1, 4]
    assert [result.trial.name for result in outcome.find(x=1)] == ["x=1"]
    assert len(said) == 3
    assert said[-1].startswith("trial 3 of 3")


def test_done_is_not_done_again(tmp_path):
    calls = []

    def counting(settings):
        calls.append(settings["x"])
        return square(settings)

    run(tmp_path, trials(None, None), counting)
    outcome, said = run(tmp_path, trials(None, None, None), counting)
    assert calls == [0, 1, 2]
    assert len(outcome.results) == 3
    assert said[0].startswith("2 of 3 trials are done already")


def test_other_settings_or_version_are_other_trials(monkeypatch):
    one = Trial("a", {"x": 1})
    assert one.stem == Trial("a", {"x": 1}).stem
    assert one.stem != Trial("a", {"x": 2}).stem
    first = one.stem
    monkeypatch.setattr(_trials, "__version__", "99")
    assert one.stem != first


def test_a_failure_is_kept_tried_again_and_stops_no_other(tmp_path):
    todo = trials("raise", None)
    outcome, said = run(tmp_path, todo)
    assert outcome.failed == {"x=0": "ValueError: no such luck at all"}
    assert len(outcome.results) == 1
    assert "failed: ValueError" in said[0]
    (record,) = tmp_path.glob("*.failed")
    assert "Traceback" in json.loads(record.read_text())["trace"]
    outcome, _ = run(tmp_path, todo, square)
    assert outcome.failed == {}
    assert not list(tmp_path.glob("*.failed"))


@pytest.mark.parametrize("damage", ["torn record", "no arrays", "torn arrays"])
def test_what_cannot_be_read_is_done_again(damage, tmp_path):
    run(tmp_path, trials(None, None), square)
    record, arrays = (sorted(tmp_path.glob(f"*{end}"))[1] for end in (".json", ".npz"))
    if damage == "torn record":
        record.write_text(record.read_text()[:40])
    elif damage == "no arrays":
        arrays.unlink()
    else:
        arrays.write_bytes(arrays.read_bytes()[:40])
    outcome, said = run(tmp_path, trials(None, None), square)
    assert "1 of 2 trials are done already" in said[0]
    np.testing.assert_array_equal(outcome.results[1].array("row"), [0])


def test_a_full_disk_is_no_failed_trial(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_trials, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, trials(None), square)
    assert not list(tmp_path.iterdir())


def test_a_process_that_dies_is_a_failed_trial(tmp_path):
    outcome, _ = run(tmp_path, trials(None, "die", "leave", "raise", None), runner=Processes(2))
    assert outcome.failed == {
        "x=1": "the process of the trial was killed by SIGKILL",
        "x=2": "the process of the trial ended with exit code 3",
        "x=3": "ValueError: no such luck at all",
    }
    assert [result.values["square"] for result in outcome.results] == [0, 16]


def test_processes_end_with_an_interrupted_run(tmp_path, monkeypatch):
    runner = Processes(2)
    todo = trials("sleep", None)
    running = runner(todo, fragile)
    assert next(running)[0].name == "x=1"
    start = time.monotonic()
    running.close()  # what an interrupt does to a generator
    assert time.monotonic() - start < 20


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from distaff.papers import Trial, run_trials
from work import square

def slow(settings):
    time.sleep(0.05)
    return square(settings)

run_trials(Path(sys.argv[2]), [Trial(f"x={i}", {"x": i}) for i in range(300)], slow, say=print)
"""


def test_a_killed_run_goes_on(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, HERE, tmp_path], stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("*.json"))) < 3:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(done) < 300
    outcome, said = run(tmp_path, [Trial(f"x={i}", {"x": i}) for i in range(300)], square)
    assert said[0].startswith(f"{len(done)} of 300 trials are done already")
    assert [result.values["square"] for result in outcome.results] == [i**2 for i in range(300)]
    assert {path: path.stat().st_mtime_ns for path in done} == done
