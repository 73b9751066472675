"""Arguments that commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import isfinite
from pathlib import Path

__all__ = ["common", "growing", "names", "number", "numbers", "slot_key", "train_epochs", "whole_number"]


def common(*, output: str | None) -> argparse.ArgumentParser:
    """Arguments of every command that writes results; ``output`` is the default folder."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--output",
        metavar="DIR",
        type=folder,
        default=output,
        required=output is None,
        help="folder of the results; it appears when all is done"
        + (f" (default: {output})" if output else ""),
    )
    group.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")
    group.add_argument(
        "--seed", type=whole_number(0), default=0, help="seed of all that is random (default: 0)"
    )
    group.add_argument(
        "--accelerator", choices=("auto", "cpu", "gpu", "mps"), default="auto", help="device to train on"
    )
    group.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    return parser


def growing(*, default: str) -> argparse.ArgumentParser:
    """Arguments of commands whose folder grows, so that a second call goes on; ``default`` is for help."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--output",
        metavar="DIR",
        type=folder,
        help="folder of the results; it grows while the command runs, and a second call goes on from it "
        f"(default: {default})",
    )
    group.add_argument(
        "--jobs",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="processes, each with a copy of the cells and one thread (default: %(default)s)",
    )
    group.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    parser.set_defaults(grows=True)
    return parser


def folder(text: str) -> Path:
    """Absolute path of a folder."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as problem:  # a loop of links, a user that there is none of
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r} ({problem})") from None


def names(text: str) -> list[str]:
    """Names separated by commas.

    Examples
    --------
    >>> names("condition, cell_type")
    ['condition', 'cell_type']
    """
    found = list(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not found:
        raise argparse.ArgumentTypeError(f"must name at least one column, got {text!r}")
    return found


def whole_number(minimum: int) -> Callable[[str], int]:
    """Return the type of whole numbers of at least ``minimum``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be >= {minimum}, got {value}")
        return value

    return parse


def number(*, minimum: float | None = None, above: float | None = None) -> Callable[[str], float]:
    """Return the type of finite numbers; ``minimum`` is allowed itself, ``above`` is not."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
        if not isfinite(value):
            raise argparse.ArgumentTypeError(f"must be finite, got {text}")
        if minimum is not None and value < minimum:
            raise argparse.ArgumentTypeError(f"must be >= {minimum:g}, got {text}")
        if above is not None and value <= above:
            raise argparse.ArgumentTypeError(f"must be > {above:g}, got {text}")
        return value

    return parse


def numbers(text: str) -> list[float]:
    """Numbers of at least 0, separated by commas.

    Examples
    --------
    >>> numbers("1, 10,0.5")
    [1.0, 10.0, 0.5]
    """
    return list(dict.fromkeys(map(number(minimum=0), text.split(","))))


def slot_key(text: str) -> str:
    """Return the prefix of slots, which must be a name in an .h5ad file."""
    if not text or "/" in text:
        raise argparse.ArgumentTypeError(f'must be a name without "/", got {text!r}')
    return text


def train_epochs(text: str) -> int | str:
    """Return a number of epochs, or the rule "1e6/N"."""
    return text if text == "1e6/N" else whole_number(1)(text)
