"""Parses the command line, runs a command, and turns its end into an exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import distaff as ds
from distaff.cli import demo, fit, report, reproduce, sweep
from distaff.cli._errors import FailedTrialsError, InputError, one_line
from distaff.cli._quiet import log, quiet

__all__ = ["main"]

FAILED, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``distaff`` command.

    Parameters
    ----------
    argv
        Arguments; None for those of the process.

    Returns
    -------
    Exit code: 0 if all went well, 2 for bad input, 130 after Ctrl-C, 143 when told to end, 1 if the training
    diverged, the disk refused, or some trials of a command that goes on after a failure failed. A bug raises.
    """
    args = _parser().parse_args(argv)
    try:
        with _stoppable(), quiet():
            said = args.run(args)
    except InputError as problem:
        return _fail(problem, BAD_INPUT, debug=args.debug)
    except FailedTrialsError as problem:
        print(problem.report)
        return _fail(problem, FAILED, debug=args.debug)
    except (ds.train.DivergenceError, OSError) as problem:
        return _fail(problem, FAILED, debug=args.debug)
    except KeyboardInterrupt:
        return _stopped("interrupted", INTERRUPTED, args)
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # lightning ends the process on Ctrl-C
            return _stopped("interrupted", INTERRUPTED, args)
        if end.code == TERMINATED:
            return _stopped("terminated", TERMINATED, args)
        raise
    print(said)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distaff", description="Interpretable and disentangled latent spaces of single-cell RNA-seq."
    )
    parser.add_argument("--version", action="version", version=f"distaff {ds.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (demo, fit, report, reproduce, sweep):
        command.add_parser(commands)
    return parser


def _fail(problem: BaseException, code: int, *, debug: bool) -> int:
    if debug:
        raise problem
    log(f"error: {one_line(problem)}")
    return code


def _stopped(how: str, code: int, args: argparse.Namespace) -> int:
    kept = f"what is done is kept in {args.output}: the same command goes on from there"
    log(f"{how}, {kept if getattr(args, 'grows', False) else 'nothing was written'}")
    return code


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM, by which batch systems end a job, clean up like Ctrl-C; put the handlers back after."""
    try:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not in the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)
