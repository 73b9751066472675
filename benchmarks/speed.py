"""Time and memory beside LinearSCVI, SCVI, expiMap and DRVI, in one process and in turns.

``python benchmarks/speed.py [--quick] [--only PART ...] [--output FOLDER]``. Writes speed.json, speed.md and
speed.png into the folder, ``docs/figures`` unless told otherwise. Seconds are those of the thread where there
is one, so that neighbours do not count, else on the wall; the least of several rounds counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from _contenders import Contender, annotated, installed, linear, nonlinear, programs, repeated, simulate
from _speed_report import write
from _timing import clock, exponent, interleaved, pinned

HERE = Path(__file__).parent
PARTS = ("training", "threads", "annotated", "inference", "scaling", "memory", "first")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    n_cells: int  # to train on
    n_wide: int  # the same with 12,000 genes
    times: int  # how often these cells are read for latents
    n_rounds: int
    n_epochs: int  # that a call of ``train`` runs for
    n_sets: int
    batch_sizes: tuple[int, ...]  # of the memory
    cells: tuple[int, ...]  # of the scaling
    genes: tuple[int, ...]
    factors: tuple[int, ...]


QUICK = Sizes(6_000, 2_000, 5, 2, 4, 300, (128, 4096), (1_500, 3_000, 6_000), (500, 2_000), (10, 100))
FULL = Sizes(
    20_000,
    20_000,
    5,
    3,
    3,
    300,
    (128, 1024, 4096),
    (5_000, 10_000, 20_000, 50_000, 100_000),
    (1_000, 2_000, 4_000, 8_000),
    (10, 30, 100),
)
Row = dict[str, object]


def threads(n: int) -> None:
    """Pin this process and torch."""
    pinned(n)
    torch.set_num_threads(n)


def row(what: str, setting: str, unit: str, values: dict[str, float], losses: dict | None = None) -> Row:
    """One line of the table: the first of ``values`` is distaff's."""
    found = {"what": what, "setting": setting, "unit": unit, "values": values, "losses": losses or {}}
    print(found, flush=True)
    return found


def epochs(
    contenders: list[Contender], batch_size: int, n_threads: int, n_rounds: int, n_epochs: int = 1
) -> dict[str, float]:
    """Least seconds of an epoch, in calls of ``train`` for so many."""
    threads(n_threads)
    tasks: dict[str, Callable[[], object]] = {
        c.name: lambda c=c: c.train(n_epochs, batch_size) for c in contenders
    }
    seconds = interleaved(tasks, n_rounds=n_rounds, now=clock(n_threads))
    return {name: value / n_epochs for name, value in seconds.items()}


def step_row(what: str, contenders: list[Contender], batch_size: int, n_threads: int, sizes: Sizes) -> Row:
    """Milliseconds a step, and the bound that each has reached with the same steps."""
    model = contenders[0].model
    n_steps = -(-int(0.9 * model.adata.n_obs) // batch_size)
    seconds = epochs(contenders, batch_size, n_threads, sizes.n_rounds, sizes.n_epochs)
    setting = f"{model.adata.n_vars:,} genes, batch {batch_size}, threads {n_threads}"
    values = {name: 1e3 * value / n_steps for name, value in seconds.items()}
    return row(what, setting, "ms a step", values, {c.name: c.loss() for c in contenders})


def training(sizes: Sizes, n_threads: int = 1) -> Iterator[Row]:
    """Same model, batch size and number of steps; of programs there is no peer, so beside a linear model."""
    narrow, wide = simulate(sizes.n_cells, 2_000, 0.053), simulate(sizes.n_wide, 12_000, 0.03)
    for batch_size in (128, 1024):
        yield step_row("linear, NB", linear(narrow), batch_size, n_threads, sizes)
    learned = linear(narrow, observed=False)
    yield step_row("linear, NB, learned library", learned, 128, n_threads, sizes)
    yield step_row("linear, NB", linear(wide), 128, n_threads, sizes)
    yield step_row("programs beside a linear model, NB", programs(narrow), 128, n_threads, sizes)
    for likelihood in ("nb", "zinb"):
        contenders = nonlinear(narrow, likelihood)
        yield step_row(f"network, {likelihood.upper()}", contenders, 128, n_threads, sizes)


def two_threads(sizes: Sizes) -> Iterator[Row]:
    """Do the same on two threads, on the wall: on a machine that does nothing else."""
    yield from training(sizes, 2)


def with_sets(sizes: Sizes) -> Iterator[Row]:
    """Gene sets; the models differ, so no bound is compared."""
    adata = simulate(sizes.n_cells, 2_000, 0.053)
    for mask in ("hard", "soft"):
        contenders = annotated(adata, sizes.n_sets, mask=mask)
        seconds = epochs(contenders, 128, 1, sizes.n_rounds, sizes.n_epochs)
        setting = f"{sizes.n_cells:,} cells, 2,000 genes, {sizes.n_sets} sets, batch 128"
        yield row(f"gene sets, {mask} mask", setting, "s an epoch", seconds)


def inference(sizes: Sizes) -> Iterator[Row]:
    """Latents, reconstruction error and loadings of the linear models."""
    threads(1)
    for n_cells, n_genes, share in ((sizes.n_cells, 2_000, 0.053), (sizes.n_wide, 12_000, 0.03)):
        part = simulate(n_cells, n_genes, share)
        adata = repeated(part, sizes.times)
        ours, peer = contenders = linear(adata)
        for c in contenders:
            c.model.is_trained_ = True  # weights do not change the time
            c.model.module.eval()
        density = adata.X.nnz / adata.n_obs / adata.n_vars
        setting = f"{adata.n_obs:,} cells, {n_genes:,} genes, {density:.1%} not zero"
        for what, method in (
            ("latents", "get_latent_representation"),
            ("reconstruction error", "get_reconstruction_error"),
            ("loadings", "get_loadings"),
        ):
            tasks = {c.name: getattr(c.model, method) for c in (ours, peer)}
            getattr(ours.model, method)()
            seconds = interleaved(tasks, n_rounds=sizes.n_rounds, now=clock(1))
            yield row(what, setting, "s", seconds)


def scaling(sizes: Sizes) -> Iterator[Row]:
    """Seconds of an epoch and of the latents against cells; of an epoch against genes and factors."""
    threads(1)
    n = max(sizes.cells)
    cells = repeated(simulate(min(n, 20_000), 2_000, 0.053), max(1, n // 20_000))
    cases = {
        "cells": [(k, cells[:k].copy(), 10) for k in sizes.cells],
        "genes": [(k, simulate(min(sizes.cells), k, 0.053), 10) for k in sizes.genes],
        "factors": [(k, cells[: min(sizes.cells)].copy(), k) for k in sizes.factors],
    }
    for axis, settings in cases.items():
        points: dict[str, list[float]] = {}
        for _, adata, n_factors in settings:
            contenders = linear(adata, n_factors=n_factors)
            for name, value in epochs(contenders, 128, 1, 2, sizes.n_epochs).items():
                points.setdefault(f"{name}, epoch", []).append(value)
            if axis == "cells":
                tasks = {c.name: c.model.get_latent_representation for c in contenders}
                for name, value in interleaved(tasks, n_rounds=2, now=clock(1)).items():
                    points.setdefault(f"{name}, latents", []).append(value)
        x = [size for size, *_ in settings]
        found = row(f"exponent in {axis}", f"{x[0]:,} to {x[-1]:,}", "", fitted(x, points))
        yield found | {"sizes": x, "points": points}


def fitted(x: list[int], points: dict[str, list[float]]) -> dict[str, float]:
    """Exponent of each curve."""
    return {name: exponent(x, y) for name, y in points.items()}


def child(what: str, data: Path, model: str, batch_size: int, **variables: str) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, str(HERE / "_child.py"), what, str(data), model, str(batch_size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def memory(sizes: Sizes) -> Iterator[Row]:
    """What training adds to counts and model."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cells.h5ad"
        simulate(sizes.n_cells, 2_000, 0.053).write_h5ad(data)
        for batch_size in sizes.batch_sizes:
            values = {m: child("memory", data, m, batch_size)["added"] for m in ("LinearVAE", "LinearSCVI")}
            yield row("memory of training", f"2,000 genes, batch {batch_size}", "MB added", values)


def first(sizes: Sizes) -> Iterator[Row]:
    """First call of ``train`` with no compiled loops on disk, and with them."""
    del sizes
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cells.h5ad"
        simulate(2_000, 2_000, 0.053).write_h5ad(data)
        for state in ("cold", "warm"):
            found = child("first", data, "LinearVAE", 128, NUMBA_CACHE_DIR=folder)
            values = {"first call": found["first"], "second call": found["second"]}
            yield row(f"first epoch, {state}", "LinearVAE, 2,000 cells, batch 128", "s on the wall", values)


MEASURES: dict[str, Callable[[Sizes], Iterator[Row]]] = dict(
    zip(PARTS, (training, two_threads, with_sets, inference, scaling, memory, first), strict=True)
)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "figures")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    sizes = QUICK if options.quick else FULL
    rows: list[Row] = []
    for part in options.only:
        for found in MEASURES[part](sizes):
            rows.append(found)
            command = "python benchmarks/speed.py" + " --quick" * options.quick
            if tuple(options.only) != PARTS:
                command += " --only " + " ".join(options.only)
            write(options.output, rows, installed(), command)


if __name__ == "__main__":
    main()
