"""``distaff report``: the page that shows all factors of a fitted model."""

from __future__ import annotations

import argparse
from pathlib import Path

import distaff as ds
from distaff._checks import error
from distaff._keys import DEFAULT_KEY
from distaff.cli._arguments import folder, names, slot_key
from distaff.cli._data import read
from distaff.cli._errors import InputError, input_stage, one_line
from distaff.cli._output import add_to_record, read_record
from distaff.cli._quiet import log

__all__ = ["add_parser"]

CELLS = "adata.h5ad"  # in the folder of a run
PAGE = "report.html"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``report`` to the commands."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page that shows all factors of a fitted model",
        description="Write one HTML page with all factors: genes, gene sets, cells, groups that differ, "
        "scores. It opens in a browser without network. What the file does not hold the page names, with the "
        "call that writes it.",
    )
    parser.add_argument(
        "data", metavar="DIR", type=folder, help="output folder of distaff fit, or an .h5ad file"
    )
    parser.add_argument(
        "--output",
        metavar="FILE.html",
        type=folder,
        help=f"the page (default: {PAGE} in DIR, or beside the .h5ad file under its name)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that is there")
    parser.add_argument("--key", type=slot_key, help="prefix of the slots (default: that of the run)")
    parser.add_argument(
        "--groupby",
        metavar="A,B",
        type=names,
        help="columns of obs to show values by (default: those that the tests and scores were made with)",
    )
    parser.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    with input_stage():
        cells = _cells(args.data)
        target = args.output or _default_target(args.data)
        _check_target(target, args)
        adata = read(cells)
    key = args.key or _key(args.data)
    log("writing the page")
    try:
        ds.report(adata, target, key=key, groupby=args.groupby)
    except (KeyError, ValueError) as problem:  # slots that are not there, or do not fit; not a full disk
        raise InputError(one_line(problem)) from problem
    if target.parent == args.data:
        add_to_record(args.data, target.name)
    size = target.stat().st_size / 1e6
    return f"Written to {target} ({size:.1f} MB): open it in a browser."


def _cells(data: Path) -> Path:
    """Return the cells of a run, or of the file itself."""
    if data.is_dir() and not (data / CELLS).is_file():
        got = f"{str(data)!r} without {CELLS}"
        raise error("DIR must be the output folder of distaff fit, or an .h5ad file", got=got)
    return data / CELLS if data.is_dir() else data


def _default_target(data: Path) -> Path:
    return data / PAGE if data.is_dir() else data.with_suffix(".html")


def _check_target(target: Path, args: argparse.Namespace) -> None:
    if target.is_dir() or not target.parent.is_dir():
        raise error("--output must be a file in an existing folder", got=repr(str(target)))
    if target == _cells(args.data):
        raise error("--output must not be the input", got=repr(str(target)))
    if target.exists() and not args.overwrite:
        fix = "Choose another name, or pass --overwrite."
        raise error("--output must be a new file", got=repr(str(target)), fix=fix)


def _key(data: Path) -> str:
    """Return the key that the run was given, else the default."""
    return str(read_record(data).get("arguments", {}).get("key", DEFAULT_KEY))
