"""A run that is killed at any moment and goes on ends bit for bit as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
SCRIPT = Path(__file__).with_name("run_child.py")
FEW = ["linear", "hard mask", "stops early"]
OTHERS = [
    "soft mask",
    "capacity",
    "program",
    "sparse",
    "terms across cells",
    "slalom",
    "autoencoder",
    "single steps",
    "second run",
    "from file",
]
SIGNALS = (signal.SIGKILL, signal.SIGINT)


class Server:
    """Process that trains runs in children."""

    def __init__(self, process):
        self.process = process
        self.wanted, self.seconds = {}, {}
        while (words := self.answer())[0] != "ready":
            if words[0] == "run":
                self.wanted[words[1]], self.seconds[words[1]] = words[2], float(words[3])

    def answer(self):
        """Next line that is for us; the others are the trainer's."""
        for line in self.process.stdout:
            words = line.rstrip("\n").split("\t")
            if words[0] in {"run", "ready", "pid", "end"}:
                return words
        raise AssertionError("the process has ended")

    def train(self, name, folder, *, kill=None, after=0.0):
        """Train a run, kill it after some seconds, and say how it ended."""
        self.process.stdin.write(f"{name}\t{folder}\n")
        self.process.stdin.flush()
        process = int(self.answer()[1])
        if kill is not None:
            time.sleep(after)
            os.kill(process, kill)  # it is there until it is waited for, or it has ended and so has this
        return self.answer()[1]


def serving(folder, names):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, str(SCRIPT), str(folder), *names], **pipes) as process:
        yield Server(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    yield from serving(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    yield from serving(tmp_path_factory.mktemp("others"), OTHERS)


def kill_often(server, name, folder, n_kills, rng):
    """Kill a run at random moments, until it comes to its end; return how its trainings ended."""
    ends = []
    for i in range(n_kills):
        after = rng.uniform(0, 1.5 * server.seconds[name])
        try:
            ends.append(server.train(name, folder, kill=SIGNALS[i % 2], after=after))
        except ProcessLookupError:  # it was faster
            ends.append(server.answer()[1])
    ends.append(server.train(name, folder))
    return ends


@pytest.mark.parametrize("name", [FEW[0], *(pytest.param(name, marks=pytest.mark.slow) for name in FEW[1:])])
def test_a_killed_run_goes_on_bit_for_bit(few, name, tmp_path):
    ends = kill_often(few, name, tmp_path / "run", 4, np.random.default_rng(len(name)))
    assert ends[-1] == few.wanted[name]
    assert set(ends) <= {"killed", "interrupted", few.wanted[name]}
    assert {path.suffix for path in (tmp_path / "run").iterdir()} == {".json", ".safetensors"}
    assert few.train(name, tmp_path / "run") == few.wanted[name]  # it has ended: it is taken from there


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_any_killed_run_goes_on_bit_for_bit(others, name, tmp_path):
    ends = kill_often(others, name, tmp_path / "run", 4, np.random.default_rng(len(name)))
    assert ends[-1] == others.wanted[name]
    assert set(ends) <= {"killed", "interrupted", others.wanted[name]}
