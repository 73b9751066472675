"""Trials in several processes; one that dies is a failed trial, and another takes its place."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from distaff.papers._trials import Answer, Failure, Took, Trial, Work, attempt

__all__ = ["Processes"]

PATIENCE = 10.0  # seconds for a process to end by itself


@dataclass(frozen=True)
class Processes:
    """Runner of :func:`run_trials` in ``n_jobs`` processes of one thread each.

    The work must be a function that can be imported, since it is sent to the processes.
    """

    n_jobs: int

    def __call__(self, trials: Sequence[Trial], work: Work) -> Iterator[tuple[Trial, Answer, Took]]:
        """Yield trials as they end, with their answers and what they took."""
        queue, busy, idle = deque(trials), dict[Any, _Worker](), list[_Worker]()
        try:
            while queue or busy:
                while queue and len(busy) < self.n_jobs:
                    worker = idle.pop() if idle else _Worker(work)
                    worker.give(queue.popleft())
                    busy[worker.connection] = worker
                for connection in wait(list(busy)):
                    worker = busy.pop(connection)
                    trial, answer, took = worker.take()
                    if worker.process.is_alive():
                        idle.append(worker)
                    yield trial, answer, took
        finally:
            for worker in idle:
                worker.end()
            for worker in busy.values():
                worker.process.terminate()
                worker.end()


def _context() -> Any:
    """Start processes that have no threads of the parent's: those of torch do not survive a fork."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["distaff.papers"])  # imported once, and shared by all
    return context


class _Worker:
    """A process that does one trial after the other."""

    def __init__(self, work: Work) -> None:
        context = _context()
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, work), daemon=True)
        self.process.start()
        other.close()  # the process alone holds this end: when it dies, reading ours says so
        self.trial: Trial | None = None
        self.start = 0.0

    def give(self, trial: Trial) -> None:
        self.trial, self.start = trial, time.monotonic()
        try:
            self.connection.send(trial.settings)
        except OSError:  # it has died meanwhile, which reading will tell
            return

    def take(self) -> tuple[Trial, Answer, Took]:
        """The answer to the trial that was given last, or that the process has died."""
        assert self.trial is not None
        try:
            return (self.trial, *self.connection.recv())
        except (EOFError, OSError):
            self.process.join()
            self.connection.close()
            took = Took(time.monotonic() - self.start, float("nan"))
            return self.trial, Failure(f"the process of the trial {_end(self.process.exitcode or 0)}"), took

    def end(self) -> None:
        """Let it end: an idle one does when nothing more can come."""
        self.connection.close()
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()


def _end(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _serve(connection: Connection, work: Work) -> None:
    """Do what comes until nothing more can come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    while True:
        try:
            settings = connection.recv()
        except EOFError:  # the parent is gone
            return
        try:
            connection.send(attempt(work, settings))
        except OSError:
            return
