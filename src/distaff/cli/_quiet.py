"""What the command says: its own lines on stderr, and nothing of other libraries' chatter."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import distaff
from distaff.cli._errors import one_line

__all__ = ["log", "quiet", "quietly", "show_progress"]

CHATTY = (
    "lightning",
    "lightning.pytorch",
    "lightning.fabric",
    "pytorch_lightning",
    "scvi",
    "scanpy",
    "jax",
    "pyro",
)
OURS = Path(distaff.__file__).parent


def log(message: str) -> None:
    """Say ``message`` on stderr: stdout is for the results."""
    print(f"distaff: {message}", file=sys.stderr, flush=True)


def show_progress() -> bool:
    """Whether somebody watches: in a file, bars are a mess."""
    return sys.stderr.isatty()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence other libraries; our own warnings become one line each.

    What others print goes to stderr if somebody watches, for the bars, and nowhere if not.
    """
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    with ExitStack() as stack:
        chatter = sys.stderr if show_progress() else stack.enter_context(Path(os.devnull).open("w"))
        stack.enter_context(redirect_stdout(chatter))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        warnings.showwarning = _show_ours  # type: ignore[assignment]
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def quietly(work: Callable[[Any], Any], settings: Any) -> Any:
    """Do ``work`` in a process that may not be quiet yet."""
    with quiet():
        return work(settings)


def _show_ours(message: Warning | str, category: type[Warning], filename: str, *_: Any) -> None:
    if issubclass(category, UserWarning) and Path(filename).is_relative_to(OURS):
        log(f"warning: {one_line(Warning(message))}")
