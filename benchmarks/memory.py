"""Peak memory of each thing one does with 100,000 cells x 2,000 genes, each in a process of its own.

``python benchmarks/memory.py [--only fit score] [--cells N] [--genes N]``. The peak is that of the whole
process, packages and counts included; the bound is 2.5 times the counts plus 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import torch
from atlas import memory, write_h5ad

import distaff as ds

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}
N_LATENT, N_SETS, N_CELL_TYPES = 10, 100, 12


def labelled(path: Path) -> anndata.AnnData:
    """Cells with a type, a condition and gene sets; without models so far."""
    adata = anndata.read_h5ad(path)
    rng = np.random.default_rng(0)
    adata.obs["cell_type"] = pd.Categorical(rng.integers(N_CELL_TYPES, size=adata.n_obs).astype(str))
    adata.obs["condition"] = pd.Categorical(rng.choice(["control", "treated"], adata.n_obs))
    genes = adata.var_names.to_numpy()
    sets = {f"set{i}": list(rng.choice(genes, 40, replace=False)) for i in range(N_SETS)}
    ds.pp.gene_sets(adata, sets)
    return adata


def built(adata: anndata.AnnData, name: str) -> ds.model.LinearVAE:
    """Model that has trained an epoch on a hundredth of the cells, as every other step needs one."""
    kind = getattr(ds.model, name)
    kind.setup_anndata(adata, batch_key="batch")
    model = kind(adata) if name == "AnnotatedVAE" else kind(adata, n_latent=N_LATENT)
    model.train(1, seed=0, train_size=0.01, validation_size=0.01, **QUIET)
    return model


def with_latent(adata: anndata.AnnData) -> ds.model.LinearVAE:
    """Model whose latent and loadings stand in ``adata``."""
    model = built(adata, "LinearVAE")
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    return model


def fit(name: str) -> Callable[[anndata.AnnData], Callable[[], object]]:
    """Set up, build and train a model for an epoch."""

    def prepare(adata: anndata.AnnData) -> Callable[[], object]:
        kind = getattr(ds.model, name)

        def work() -> None:
            kind.setup_anndata(adata, batch_key="batch")
            kind(adata).train(1, seed=0, **QUIET)

        return work

    return prepare


def of_model(name: str, method: str) -> Callable[[anndata.AnnData], Callable[[], object]]:
    """Call a method of a model."""
    return lambda adata: getattr(built(adata, name), method)


def of_latent(function: Callable[..., object], *args: object, **options: object) -> Callable[..., object]:
    """Call a function of ``tl`` where latent and loadings are there."""

    def prepare(adata: anndata.AnnData) -> Callable[[], object]:
        with_latent(adata)
        return lambda: function(adata, *args, **options)

    return prepare


def traverse(adata: anndata.AnnData) -> Callable[[], object]:
    """Decode every cell with every factor moved."""
    model = built(adata, "LinearVAE")
    return lambda: ds.tl.traverse(adata, model, n_cells=2000)


STEPS: dict[str, Callable[[anndata.AnnData], Callable[[], object]]] = {
    "load": lambda adata: lambda: adata,
    "check": lambda adata: lambda: ds.pp.check_counts(adata),
    **{
        f"fit {name}": fit(name)
        for name in ("LinearVAE", "BetaVAE", "ProgramVAE", "SparseVAE", "AnnotatedVAE")
    },
    "transform": of_model("LinearVAE", "get_latent_representation"),
    "transform, 100 sets": of_model("AnnotatedVAE", "get_latent_representation"),
    "reconstruction error": of_model("BetaVAE", "get_reconstruction_error"),
    "score": of_latent(ds.tl.disentanglement, ["cell_type", "condition"]),
    "score, every metric": of_latent(ds.tl.disentanglement, ["cell_type", "condition"], metrics="all"),
    "factors": of_latent(ds.tl.factors),
    "rank factors": of_latent(ds.tl.rank_factors, "condition"),
    "enrichment": of_latent(ds.tl.enrich),
    "traverse": traverse,
}


def measure(path: Path, step: str) -> dict[str, float]:
    """Peak of this process in MB before and after a step, and its seconds."""
    adata = labelled(path)
    size = sum(array.nbytes for array in (adata.X.data, adata.X.indices, adata.X.indptr)) / 2**20
    work = STEPS[step](adata)
    before, start = memory("VmHWM"), time.perf_counter()
    work()
    peak = memory("VmHWM")
    return {
        "s": time.perf_counter() - start,
        "MB before": before,
        "peak MB": peak,
        "allowed MB": 2.5 * size + 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--only", nargs="*", default=[""], help="steps whose names begin with one of these")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.step is not None:
        print(json.dumps(measure(args.path, args.step)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_h5ad(path, args.cells, args.genes)
        for step in (name for name in STEPS if name.startswith(tuple(args.only))):
            command = [sys.executable, __file__, "--step", step, "--path", str(path)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[step] = json.loads(answer.splitlines()[-1])
            print(step, found[step], file=sys.stderr)
    print(pd.DataFrame(found).T.round(1).to_string())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
