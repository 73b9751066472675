"""Time and peak memory of the simulators and of the GEP score.

Each runs in a process of its own, so that its peak is its own; the memory of the imports is measured first.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from distaff import datasets, tl

N_SETS = 50  # of 15 to 500 genes, for the score


def simulate_gep(n_cells: int, n_genes: int) -> object:
    return datasets.simulate_gep(n_cells, n_genes)


def simulate_splat(n_cells: int, n_genes: int) -> object:
    return datasets.simulate_splat([n_cells // 2, n_cells - n_cells // 2], n_genes, group_prob=[0.2] * 5)


def simulate_splat_with_dropout(n_cells: int, n_genes: int) -> object:
    return datasets.simulate_splat(
        n_cells, n_genes, group_prob=[0.2] * 5, lib_loc=8.0, dropout_type="experiment"
    )


def simulate_factors(n_cells: int, n_genes: int) -> object:
    return datasets.simulate_factors(n_cells, n_genes, n_batches=2, n_decoys=8)


def gep_score(n_cells: int, n_genes: int) -> Callable[[], None]:
    """Prepare the data; the score alone is timed."""
    adata = datasets.simulate_gep(n_cells, n_genes)
    rng = np.random.default_rng(0)
    sizes = rng.integers(min(15, n_genes), min(500, n_genes) + 1, N_SETS)
    sets = {
        f"set_{i}": adata.var_names[rng.permutation(n_genes)[:size]].to_list() for i, size in enumerate(sizes)
    }
    return lambda: tl.gep_score(adata, sets)


def peak_gib() -> float:
    """Largest memory of this process so far; Linux counts in KiB, macOS in bytes."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


CASES: dict[str, Callable[[int, int], object]] = {
    f.__name__: f
    for f in (simulate_gep, simulate_splat, simulate_splat_with_dropout, simulate_factors, gep_score)
}


def run(name: str, n_cells: int, n_genes: int) -> None:
    imports = peak_gib()
    wall, cpu = time.perf_counter(), time.process_time()
    result = CASES[name](n_cells, n_genes)
    if callable(result):
        wall, cpu = time.perf_counter(), time.process_time()
        result()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{name:28} {wall:8.1f} s, {cpu:6.1f} s of CPU {peak_gib():8.2f} GiB, of which {imports:.2f} imports",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-cells", type=int, default=10_000)
    parser.add_argument("--n-genes", type=int, default=25_000)
    parser.add_argument("--case", choices=CASES, help="run one, in this process")
    args = parser.parse_args()
    if args.case:
        run(args.case, args.n_cells, args.n_genes)
        return
    size = ["--n-cells", str(args.n_cells), "--n-genes", str(args.n_genes)]
    for name in CASES:
        subprocess.run([sys.executable, __file__, "--case", name, *size], check=True)


if __name__ == "__main__":
    main()
