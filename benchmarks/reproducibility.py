"""How far a run can be repeated: the same seed again, and with other numbers of threads.

``python benchmarks/reproducibility.py`` prints the table of docs/reproducibility.md. Each model is trained
on the same simulated cells with the same seed. Two latents are compared by the largest difference of any
value, in standard deviations of the widest dimension, and by the lowest correlation of an active dimension.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import torch
from threadpoolctl import threadpool_limits

import distaff as ds

ACTIVE = 0.01  # variance of a dimension in use, as in metrics.active_units


@contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads for torch, numba and the linear algebra of numpy."""
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(n)
    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
    try:
        with threadpool_limits(n):
            yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def latent(name: str, adata, n_threads: int, epochs: int) -> np.ndarray:
    """Train and return the latent (cells, factors)."""
    model_class = getattr(ds.model, name)
    with threads(n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model_class.setup_anndata(adata)
        model = model_class(adata)
        model.train(epochs, seed=0, accelerator="cpu", enable_progress_bar=False)
        return model.get_latent_representation()


def difference(Z: np.ndarray, other: np.ndarray) -> str:
    """Largest difference of any value, lowest correlation of an active dimension."""
    largest = np.abs(Z - other).max() / Z.std(axis=0).max()
    active = np.flatnonzero(Z.var(axis=0) > ACTIVE)
    lowest = min((np.corrcoef(Z[:, k], other[:, k])[0, 1] for k in active), default=np.nan)
    return f"{largest:.0e}, {lowest:.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--models", nargs="*", default=ds.model.__all__)
    args = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    adata = ds.datasets.simulate_factors(args.cells, args.genes, n_factors=6, random_state=0)
    print("| model | the same again | 2 threads | 3 threads |\n|---|---|---|---|")
    for name in args.models:
        first, *others = (latent(name, adata, n, args.epochs) for n in (1, 1, 2, 3))
        cells = ["same bits" if np.array_equal(first, Z) else difference(first, Z) for Z in others]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
