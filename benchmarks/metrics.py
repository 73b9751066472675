"""Seconds of each metric.

``python benchmarks/metrics.py [CELLS DIMENSIONS FACTORS] [--jobs N] [--only NAME ...]``
"""

from __future__ import annotations

import argparse
import inspect
import resource
import time
import warnings

import numpy as np
import pandas as pd

from distaff import metrics

# these take the result of another metric, or no factors
OF_A_SCORE = {"lms", "msas", "msgs"}
OF_THE_LATENT = {"active_units", "total_correlation", "factor_correlation", "variance_explained"}
NOT_TIMED = {"cluster_agreement", "assess", "compare_runs"}  # the time of Leiden, or of other metrics


def problem(n_cells: int, n_dims: int, n_factors: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Noisy copies of the factors in the first dimensions; a third of them has 8, 2, and no classes."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n_cells, n_factors))
    Z = rng.normal(size=(n_cells, n_dims))
    shared = min(n_dims, n_factors)
    Z[:, :shared] = hidden[:, :shared] + 0.3 * Z[:, :shared]
    Y = pd.DataFrame({f"y{k}": hidden[:, k] for k in range(n_factors)})
    for k in range(n_factors):
        if k % 3 == 0:
            Y[f"y{k}"] = pd.qcut(Y[f"y{k}"], 8, labels=[f"class {i}" for i in range(8)])
        elif k % 3 == 1:
            Y[f"y{k}"] = np.where(Y[f"y{k}"] > 0.5, "on", "off")
    return Z, Y


def call(name: str, Z: np.ndarray, Y: pd.DataFrame, n_jobs: int) -> float:
    """Run one metric on what it takes and return its value."""
    metric = getattr(metrics, name)
    if name in OF_THE_LATENT:
        metric(Z)
        return float("nan")
    if name in OF_A_SCORE:
        return float(metric(metrics.smi(Z, Y)))
    takes = inspect.signature(metric).parameters
    if name in {"single_dimension_accuracy", "spn"}:
        Y = Y.loc[:, [k for k in Y if Y[k].dtype.kind != "f"]]
    return float(metric(Z, Y, **({"n_jobs": n_jobs} if "n_jobs" in takes else {})))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="*", type=int, default=[10_000, 32, 20])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    Z, Y = problem(*args.size)
    everything = [name for name in metrics.__all__ if name.islower() and name not in NOT_TIMED]
    print(f"{'metric':28s} {'value':>7s} {'s':>8s} {'CPU s':>8s} {'peak MB':>8s}")
    total = 0.0
    for name in args.only or everything:
        start, cpu = time.perf_counter(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = call(name, Z, Y, args.jobs)
        seconds = time.perf_counter() - start
        total += seconds
        cpu = time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:28s} {value:7.3f} {seconds:8.2f} {cpu:8.2f} {peak:8.0f}", flush=True)
    print(f"{'all':28s} {'':7s} {total:8.2f}")


if __name__ == "__main__":
    main()
