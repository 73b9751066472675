"""Units of work whose results are kept: what is done is not done again, and a failure stops no other."""

from __future__ import annotations

import json
import math
import re
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from distaff import __version__
from distaff._atomic import write_whole
from distaff._threads import one_thread

__all__ = [
    "Answer",
    "Failure",
    "Outcome",
    "Result",
    "Runner",
    "Took",
    "Trial",
    "Work",
    "attempt",
    "plain",
    "run_trials",
    "write",
]

Work = Callable[[Mapping[str, Any]], dict[str, Any]]  # settings -> values, arrays among them


@dataclass(frozen=True)
class Trial:
    """One unit of work.

    Parameters
    ----------
    name
        What messages and files call it.
    settings
        All that decides its result, fit for JSON.
    """

    name: str
    settings: Mapping[str, Any]

    @property
    def stem(self) -> str:
        """Name of its files: other settings or another version of distaff make another one."""
        identity = json.dumps([__version__, self.name, dict(self.settings)], sort_keys=True)
        words = re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-")[:80]
        return f"{words}-{sha256(identity.encode()).hexdigest()[:12]}"


class Took(NamedTuple):
    """Seconds of a trial: on the clock, and of its process, which other work does not stretch."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result."""

    error: str
    trace: str = ""


@dataclass(frozen=True)
class Result:
    """What a trial found: ``values`` fit for JSON, and the names of the arrays that ``array`` reads."""

    trial: Trial
    values: dict[str, Any]
    took: Took
    file: Path

    def array(self, name: str) -> Any:
        """Array that the trial kept."""
        with np.load(self.file.with_suffix(".npz")) as arrays:
            return arrays[name]


@dataclass(frozen=True)
class Outcome:
    """All that there is of a list of trials, in its order."""

    results: list[Result]
    failed: dict[str, str]  # name of a trial: its error

    def table(self) -> pd.DataFrame:
        """One row a result: its settings, then its values."""
        return pd.DataFrame([{**result.trial.settings, **result.values} for result in self.results])

    def find(self, **settings: Any) -> list[Result]:
        """Results with these settings."""
        return [
            result
            for result in self.results
            if all(result.trial.settings.get(name) == value for name, value in settings.items())
        ]


Answer = dict[str, Any] | Failure
Runner = Callable[[Sequence[Trial], Work], Iterator[tuple[Trial, Answer, Took]]]


def run_trials(
    folder: Path,
    trials: Sequence[Trial],
    work: Work,
    *,
    say: Callable[[str], None],
    runner: Runner | None = None,
) -> Outcome:
    """Do what is not done yet, and return all results.

    Parameters
    ----------
    folder
        Where results are kept; it grows, file by file.
    trials
        What to do.
    work
        Does a trial, given its settings.
    say
        Told of each trial that has ended.
    runner
        Yields trials with their answers and what they took; None to do one after the other in this process.

    Returns
    -------
    Results and failures. A trial that failed is tried again at the next call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = [trial for trial in trials if _read(folder, trial) is None]
    n_done = len(trials) - len(todo)
    if n_done:
        say(f"{n_done} of {len(trials)} trials are done already, in {folder}")
    start = time.monotonic()
    for i, (trial, answer, took) in enumerate((runner or in_turn)(todo, work), 1):
        _keep(folder, trial, answer, took)
        how = f"failed: {answer.error}" if isinstance(answer, Failure) else f"{took.wall:.1f} s"
        left = (time.monotonic() - start) / i * (len(todo) - i)
        ahead = f"; about {max(1, round(left / 60))} min left" if i < len(todo) else ""
        say(f"trial {n_done + i} of {len(trials)}, {trial.name}: {how}{ahead}")
    return _collect(folder, trials)


def in_turn(trials: Sequence[Trial], work: Work) -> Iterator[tuple[Trial, Answer, Took]]:
    """Do the trials in this process."""
    for trial in trials:
        yield (trial, *attempt(work, trial.settings))


def attempt(work: Work, settings: Mapping[str, Any]) -> tuple[Answer, Took]:
    """Do a trial; an error, but not the end of the process, is an answer."""
    start, cpu = time.monotonic(), time.process_time()
    try:
        with one_thread():  # whatever the trial before has left
            answer: Answer = work(settings)
    except Exception as problem:  # noqa: BLE001  whatever it is, the other trials go on
        text = " ".join(f"{type(problem).__name__}: {problem}".split())
        answer = Failure(text, traceback.format_exc())
    return answer, Took(time.monotonic() - start, time.process_time() - cpu)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it; a number that is not finite is None."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: Path, data: bytes | str) -> None:
    """Write a file that appears whole or not at all."""
    write_whole(path, data.encode() if isinstance(data, str) else data)


def _keep(folder: Path, trial: Trial, answer: Answer, took: Took) -> None:
    """Write the answer: arrays first, since the record says that all is there."""
    done, failed = _files(folder, trial)
    record = {"trial": trial.name, "settings": trial.settings, "version": __version__}
    record["seconds"] = plain(took._asdict())
    if isinstance(answer, Failure):
        record |= {"error": answer.error, "trace": answer.trace}
        write(failed, json.dumps(record, indent=1))
        return
    arrays = {name: value for name, value in answer.items() if isinstance(value, np.ndarray)}
    values = {name: value for name, value in answer.items() if name not in arrays}
    if arrays:
        packed = BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        write(done.with_suffix(".npz"), packed.getvalue())
    record |= {"arrays": list(arrays), "values": plain(values)}
    write(done, json.dumps(record, indent=1, allow_nan=False))
    failed.unlink(missing_ok=True)


def _files(folder: Path, trial: Trial) -> tuple[Path, Path]:
    return folder / f"{trial.stem}.json", folder / f"{trial.stem}.failed"


def _read(folder: Path, trial: Trial) -> Result | None:
    """Result of a trial; None if there is none, or it cannot be read."""
    file, _ = _files(folder, trial)
    try:
        record = json.loads(file.read_text())
        arrays = file.with_suffix(".npz")
        if record["arrays"] and not zipfile.is_zipfile(arrays):
            return None
        return Result(trial, dict(record["values"]), Took(**record["seconds"]), file)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _collect(folder: Path, trials: Sequence[Trial]) -> Outcome:
    results, failed = [], {}
    for trial in trials:
        result = _read(folder, trial)
        if result is not None:
            results.append(result)
            continue
        _, file = _files(folder, trial)
        failed[trial.name] = json.loads(file.read_text())["error"] if file.exists() else "not done"
    return Outcome(results, failed)
