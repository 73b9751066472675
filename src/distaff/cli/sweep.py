"""``distaff sweep``: a model at every beta and capacity, over seeds, in several processes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

import distaff as ds
from distaff._checks import error
from distaff._keys import SIMULATION, Slots
from distaff.cli._arguments import folder, growing, numbers, whole_number
from distaff.cli._data import read
from distaff.cli._errors import FailedTrialsError, input_stage
from distaff.cli._model import (
    MODEL,
    MODELS,
    SETUP,
    TRAINING,
    add_data_arguments,
    add_model_arguments,
    add_training_arguments,
    check_options,
    given,
    prepare,
)
from distaff.cli._output import check_apart, check_growing, write_record
from distaff.cli._quiet import log, quietly
from distaff.cli._results import agreement
from distaff.cli._table import format_table
from distaff.papers import Outcome, Processes, Table, Trial, run_trials, write_tables

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["add_parser"]

KEY = "sweep"  # prefix of the slots
CELLS = "cells.h5ad"  # what all trials read
BETAS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
N_CELLS, N_GENES = 2000, 1000
SHOWN = ("max_spearman", "single_dimension_accuracy", "mig", "lms", "ari")
GRID = ("beta", "capacity")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``sweep`` to the commands."""
    parser = commands.add_parser(
        "sweep",
        parents=[growing(default="distaff-sweep")],
        help="train a model at every beta and capacity, over seeds",
        description="Train a model at every beta and capacity with several seeds, and score each on known "
        "factors. What is done is kept: the same command goes on where it was interrupted, tries failed "
        "trials again, and adds those of a larger grid.",
    )
    parser.add_argument(
        "data",
        metavar="DATA.h5ad",
        nargs="?",
        type=Path,
        help="cells with raw counts (default: cells that are simulated)",
    )
    group = parser.add_argument_group("data")
    add_data_arguments(group)
    group.add_argument("--n-cells", type=whole_number(50), default=N_CELLS, help="of a simulation")
    group.add_argument("--n-genes", type=whole_number(50), default=N_GENES, help="of a simulation")
    _add_grid_arguments(parser.add_argument_group("grid"))
    add_model_arguments(parser.add_argument_group("model"))
    group = parser.add_argument_group("training")
    add_training_arguments(group)
    group.add_argument("--accelerator", choices=("auto", "cpu", "gpu", "mps"), default="auto")
    parser.set_defaults(run=run, key=KEY)


def _add_grid_arguments(group: argparse._ArgumentGroup) -> None:
    betas = ",".join(f"{beta:g}" for beta in BETAS)
    group.add_argument("--beta", metavar="B,..", type=numbers, help=f"weights of the KL (default: {betas})")
    group.add_argument("--capacity", metavar="C,..", type=numbers, help="capacities in nats; 0: none")
    group.add_argument("--seeds", metavar="N", type=whole_number(1), default=3, help="default: %(default)s")
    group.add_argument("--seed", type=whole_number(0), default=0, help="the first (default: %(default)s)")


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    args.output = args.output or folder("distaff-sweep")
    with input_stage():
        check_options(args)
        check_growing(args.output, "sweep")
        adata, identity = _read(args)
        prepared = prepare(adata, args)
        trials = _trials(args, identity)
        MODELS[args.model](prepared, **trials[0].settings["arguments"])  # refuses values it cannot take
    args.output.mkdir(exist_ok=True)
    arguments = {"data": args.data, "model": args.model, **{name: getattr(args, name) for name in GRID}}
    write_record(args.output, "sweep", arguments)
    prepared.write_h5ad(args.output / CELLS)
    work = partial(quietly, partial(_work, path=args.output / CELLS))
    runner = Processes(args.jobs) if args.jobs > 1 else None
    outcome = run_trials(args.output / "trials", trials, work, say=log, runner=runner)
    report = _write(outcome, args)
    write_record(args.output, "sweep", arguments)
    if outcome.failed:
        raise FailedTrialsError(outcome.failed, report)
    return report


def _read(args: argparse.Namespace) -> tuple[AnnData, dict[str, Any]]:
    """Cells, and what tells them from others."""
    if args.data is None:
        log(f"simulating {args.n_cells:,} cells x {args.n_genes:,} genes")
        args.factors = args.factors or [SIMULATION.usage, SIMULATION.group]
        adata = ds.datasets.simulate_gep(args.n_cells, args.n_genes, random_state=args.seed)
        return adata, {"n_cells": args.n_cells, "n_genes": args.n_genes, "seed": args.seed}
    if not args.factors:
        raise error("--factors must name what to score the latents on", got="nothing")
    adata = read(args.data)
    check_apart(args.data, args.output)
    return adata, {"file": _digest(args.data)}


def _digest(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _trials(args: argparse.Namespace, cells: Mapping[str, Any]) -> list[Trial]:
    """Every beta with every capacity and seed; all that decides a result, so that nothing else is reused."""
    shared = {
        "cells": {**cells, "n_top_genes": args.n_top_genes, "gene_sets": _digest(args.gene_sets)},
        "model": args.model,
        "factors": args.factors,
        "setup": {**given(args, SETUP), "allow_non_integer": args.likelihood == "normal"},
    }
    options = {name: value for name, value in given(args, MODEL).items() if name not in GRID}
    trials = []
    for capacity in args.capacity or (None,):
        for beta in args.beta or BETAS:
            point = {"beta": beta} if capacity is None else {"beta": beta, "capacity": capacity}
            for seed in range(args.seed, args.seed + args.seeds):
                words = ", ".join(f"{name} {value:g}" for name, value in point.items())
                training = {**given(args, TRAINING), "seed": seed}
                settings = {**shared, "arguments": {**options, **point}, "training": training}
                trials.append(Trial(f"{args.model} model, {words}, seed {seed}", settings))
    return trials


def _work(settings: Mapping[str, Any], *, path: Path) -> dict[str, Any]:
    """Train and score one model."""
    adata = _cells(path, repr(settings["cells"])).copy()
    model_class, seed = MODELS[settings["model"]], settings["training"]["seed"]
    model_class.setup_anndata(adata, **settings["setup"])
    model = model_class(adata, **settings["arguments"])
    model.train(enable_progress_bar=False, **settings["training"])
    ds.tl.latent(adata, model, key=KEY)
    ds.tl.disentanglement(adata, settings["factors"], key=KEY, references=None, random_state=seed)
    agreement(adata, key=KEY, seed=seed)
    run = ds.tl.collect_scores(adata, [KEY]).drop(columns="key")
    run["n_active"] = int(adata.uns[KEY]["factors"]["active"].sum())
    by_factor = ds.tl.collect_scores(adata, [KEY], by_factor=True).drop(columns="key")
    scores = adata.uns[KEY][Slots.disentanglement]["summary"]
    return {
        "run": run.to_dict("records")[0],
        "settings": [name for name in run if name not in (*scores, "ari", "nmi", "n_active")],
        "factors": by_factor.to_dict("records"),
    }


@lru_cache(maxsize=1)
def _cells(path: Path, _identity: str) -> AnnData:
    return anndata.read_h5ad(path)


def _write(outcome: Outcome, args: argparse.Namespace) -> str:
    """Write tables and figures; return the report."""
    runs = pd.DataFrame([result.values["run"] for result in outcome.results])
    factors = pd.DataFrame([row for result in outcome.results for row in result.values["factors"]])
    tables, means = [], pd.DataFrame()
    if len(runs):
        grid = [name for name in GRID if name in runs]
        scores = [name for name in runs if name not in outcome.results[0].values["settings"]]
        groups = runs.groupby(grid, sort=False)
        means = groups[scores].mean().assign(runs=groups.size()).reset_index()
        tables = [
            Table("means", "Means over seeds", means),
            Table("runs", "Runs", runs[[*grid, "seed", *scores]]),
        ]
        runs.to_csv(args.output / "scores.csv", index=False)
        factors.to_csv(args.output / "scores_by_factor.csv", index=False)
        _draw(runs, args.output / "figures")
    about = {"model": args.model, "data": str(args.data or "simulated"), "trials": len(outcome.results)}
    write_tables(args.output, tables, heading="distaff sweep", about=about, failed=outcome.failed)
    return _report(means, args)


def _draw(runs: pd.DataFrame, where: Path) -> None:
    """Scores against beta, or against the capacity where only that differs."""
    mpl.use("agg")  # no windows
    where.mkdir(exist_ok=True)
    x = (
        "capacity"
        if runs["beta"].nunique() == 1 and runs.get("capacity", runs["beta"]).nunique() > 1
        else "beta"
    )
    axes = [ds.pl.tradeoff(runs, x=x, show=False, save=where / "scores.png")]
    if "ari" in runs and "lms" in runs:
        axes.append(ds.pl.tradeoff(runs, "lms", x=x, against="ari", show=False, save=where / "tradeoff.png"))
    for panels in axes:
        plt.close(panels[0].figure)


def _report(means: pd.DataFrame, args: argparse.Namespace) -> str:
    lines = []
    if len(means):
        shown = [name for name in ("n_active", *SHOWN) if name in means]
        labels = [
            " ".join(f"{name}={row[name]:g}" for name in GRID if name in row) for _, row in means.iterrows()
        ]
        lines += ["Means over seeds", "", format_table(means[shown].set_axis(labels)), ""]
    lines += [
        f"Written to {args.output}:",
        "  tables.md, tables.json           all scores, means over seeds",
        "  scores.csv, scores_by_factor.csv one row a run, and one a run and factor",
        "  figures/                         scores against beta or capacity, and against each other",
        "  trials/                          results of each model; the same command does not train it again",
    ]
    return "\n".join(lines)
