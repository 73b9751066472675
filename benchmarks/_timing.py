"""Clocks and tables that the speed benchmark is made of; no model here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np

__all__ = ["clock", "exponent", "interleaved", "markdown", "pinned"]


def pinned(n_threads: int) -> None:
    """Run this process on that many cores, where the system lets us choose."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(range(os.cpu_count() or 1))[:n_threads]
        os.sched_setaffinity(0, cores)


def clock(n_threads: int) -> Callable[[], float]:
    """Seconds of this thread if it works alone, so that neighbours do not count; else seconds on the wall."""
    return time.thread_time if n_threads == 1 else time.perf_counter


def interleaved(
    tasks: Mapping[str, Callable[[], object]], *, n_rounds: int, now: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Least seconds of each task; in every round each has its turn."""
    best = dict.fromkeys(tasks, np.inf)
    for _ in range(n_rounds):
        for name, task in tasks.items():
            start = now()
            task()
            best[name] = min(best[name], now() - start)
    return best


def exponent(sizes: Iterable[float], seconds: Iterable[float]) -> float:
    """Slope p of seconds ~ size^p, by least squares of logarithms; 1 is linear in size."""
    x, y = np.log(np.asarray(list(sizes), float)), np.log(np.asarray(list(seconds), float))
    if len(np.unique(x)) < 2:
        raise ValueError(f"An exponent needs two sizes, got {len(np.unique(x))}.")
    return float(np.polyfit(x, y, 1)[0])


def markdown(columns: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Table with numbers to three digits and nothing for None."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
