"""Fit every method to every data set, and write tables of who disentangles best.

Run from the root: ``OMP_NUM_THREADS=1 DISTAFF_DATA=... python benchmarks/peers/run.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import methods
import torch
from data_sets import SETS
from measures import measured
from methods import METHODS, AbsentError
from other_variants import OTHERS
from report import write
from variants import ALL

FEW = 100  # epochs in the small preset of models whose default is 400, which would take most of the time


@dataclass(frozen=True)
class Preset:
    """Size of the simulations, genes, number of seeds, and epochs of the slow methods."""

    n_cells: int
    n_genes: int
    n_seeds: int
    slow_epochs: int | None


KNOWN = METHODS | ALL | OTHERS
PLAIN = [name for name, method in KNOWN.items() if method.default]
SMALL = Preset(1000, 1000, 2, FEW)
FULL = Preset(3000, 2000, 5, None)


def main() -> None:
    """Run what is not there yet, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="3,000 cells, 2,000 genes, five seeds")
    parser.add_argument(
        "--sets", nargs="*", default=["tune", "report"], help="tune, report, strangers or names"
    )
    parser.add_argument("--methods", nargs="*", help="all that are no variants by default")
    parser.add_argument("--seeds", type=int, help="number of seeds; that of the preset by default")
    parser.add_argument("--out", type=Path, default=Path("peers"), help="folder of results and tables")
    options = parser.parse_args()
    preset = FULL if options.full else SMALL
    methods.quiet()
    torch.set_num_threads(1)
    names = chosen_sets(options.sets)
    wanted = options.methods or PLAIN
    folder = options.out / ("full" if options.full else "small")
    folder.mkdir(parents=True, exist_ok=True)
    n_seeds = options.seeds or preset.n_seeds
    runs = [(name, SETS[name].first_seed + n) for n in range(n_seeds) for name in names]
    for name, seed in runs:  # every data set once, before any a second time
        run(name, seed, wanted, preset, folder)
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    kept = [r for r in records if (r["data"], r["seed"]) in runs and r["method"] in wanted]
    write(options.out, kept, command="python " + " ".join(map(shlex.quote, sys.argv)))


def chosen_sets(wanted: list[str]) -> list[str]:
    """Names of data sets, groups among them spelt out."""
    sides = ("tune", "report", "strangers")
    groups = {side: [name for name, source in SETS.items() if source.side == side] for side in sides}
    return list(dict.fromkeys(name for word in wanted for name in groups.get(word, [word])))


def run(name: str, seed: int, wanted: list[str], preset: Preset, folder: Path) -> None:
    """Results of the methods that have none yet for this data set and seed."""
    missing = [method for method in wanted if not _path(folder, name, method, seed).exists()]
    if not missing:
        return
    problem = SETS[name].make(seed, preset.n_cells, preset.n_genes)
    torch.set_num_threads(1)  # choosing genes with scanpy sets it to all cores
    for method in missing:
        epochs = preset.slow_epochs if KNOWN[method].slow else None
        record = {
            "data": name,
            "method": method,
            "seed": seed,
            "epochs": epochs,
            "scvi-tools": version("scvi-tools"),
        }
        try:
            record |= measured(problem, lambda m=method, e=epochs: KNOWN[m].fit(problem, seed, e))
        except AbsentError as reason:
            record |= {"absent": str(reason)}
        path = _path(folder, name, method, seed)
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(record, indent=1))
        draft.replace(path)
        print(name, seed, method, *_short(record), flush=True)


def _short(record: dict) -> list[str]:
    if "absent" in record:
        return [record["absent"]]
    return [f"{key} {record['scores'][key]:.3f}" for key in ("lms", "mig", "dci")] + [
        f"{record['seconds']:.0f} s"
    ]


def _path(folder: Path, name: str, method: str, seed: int) -> Path:
    words = "_".join([name, method, str(seed)])
    plain = "".join(c if c.isalnum() else "_" for c in words)
    return folder / f"{plain}_{hashlib.sha256(words.encode()).hexdigest()[:6]}.json"


if __name__ == "__main__":
    main()
