"""``distaff reproduce``: the results of a paper, beside those that it published."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib as mpl

from distaff._checks import error
from distaff.cli._arguments import folder, growing, whole_number
from distaff.cli._errors import FailedTrialsError, input_stage
from distaff.cli._output import check_growing, write_record
from distaff.cli._quiet import log, quietly
from distaff.papers import STUDIES, Processes, Study, reproduce

__all__ = ["add_parser"]

INPUTS = {
    "data": "counts (.h5ad) in place of those of the study: svensson, any; rybakov, with obs columns "
    "condition and cell_type",
    "gene_sets": "gene sets (.gmt) of rybakov; default: Reactome 4.0 in the folder that DISTAFF_DATA names",
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``reproduce`` to the commands."""
    parser = commands.add_parser(
        "reproduce",
        parents=[growing(default="distaff-STUDY")],
        help="reproduce the results of a paper",
        description="Train the models of a paper and write its tables and figures, the published numbers "
        "beside ours. What is done is kept: the same command goes on where it was interrupted.",
    )
    parser.add_argument("study", choices=tuple(STUDIES), help="the paper")
    parser.add_argument(
        "--full", action="store_true", help="take the sizes of the paper (default: small ones, some minutes)"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="first of the seeds (default: %(default)s)"
    )
    for name, what in INPUTS.items():
        parser.add_argument(_option(name), metavar="FILE", type=folder, help=what)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    study = STUDIES[args.study]
    command = f"reproduce {study.name}"
    args.output = args.output or folder(f"distaff-{study.name}")
    with input_stage():
        check_growing(args.output, command)
        inputs = _inputs(args, study)
        trials = study.trials(args.full, args.seed, **inputs)
    args.output.mkdir(exist_ok=True)
    arguments = {"full": args.full, "seed": args.seed, **{name: str(file) for name, file in inputs.items()}}
    write_record(args.output, command, arguments)
    mpl.use("agg")  # no windows
    outcome = reproduce(
        replace(study, trials=lambda *_: trials, work=partial(quietly, study.work)),
        args.output,
        full=args.full,
        seed=args.seed,
        say=log,
        runner=Processes(args.jobs) if args.jobs > 1 else None,
    )
    write_record(args.output, command, arguments)
    report = "\n".join(
        [
            f"Written to {args.output}:",
            "  tables.md    published numbers beside these, and the tables that they come from",
            "  tables.json  the same for programs",
            "  figures/     figures of the paper",
            "  trials/      results of each model; the same command does not train it again",
        ]
    )
    if outcome.failed:
        raise FailedTrialsError(outcome.failed, report)
    return report


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _inputs(args: argparse.Namespace, study: Study) -> dict[str, Path]:
    """Files that were given; each is there, and the study takes it."""
    given = {name: getattr(args, name) for name in INPUTS if getattr(args, name) is not None}
    for name, file in given.items():
        if name not in study.inputs:
            raise error(f"{_option(name)} must be left out of {study.name}", got=repr(str(file)))
        if not file.is_file():
            raise error(f"{_option(name)} must be a file", got=repr(str(file)))
    return given
