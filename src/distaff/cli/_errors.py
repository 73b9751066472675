"""Bad input ends in one clear line; a bug keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["FailedTrialsError", "InputError", "input_stage", "one_line"]


class InputError(Exception):
    """Input that the command cannot work with."""


class FailedTrialsError(Exception):
    """Some of the trials of a command have no result; all else is written."""

    def __init__(self, failed: Mapping[str, str], report: str) -> None:
        name, why = next(iter(failed.items()))
        super().__init__(
            f"{len(failed)} trials failed, the first {name} ({why}). The same command tries them again."
        )
        self.report = report


@contextmanager
def input_stage() -> Iterator[None]:
    """Turn what our checks and the readers raise into :class:`InputError`.

    Only the part of a command that reads and checks runs inside; the same exceptions later on are bugs.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, OSError) as problem:
        raise InputError(one_line(problem)) from problem


def one_line(problem: BaseException) -> str:
    """Message of an exception on one line; a ``KeyError``'s without the quotes that ``str`` puts around it.

    Examples
    --------
    >>> one_line(KeyError("batch_key must name a column of adata.obs, got 'b'."))
    "batch_key must name a column of adata.obs, got 'b'."
    """
    text = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
    return " ".join(text.split()) or type(problem).__name__
