"""Memory and time of an atlas that stays on disk, and of its epochs beside those from memory.

``python benchmarks/atlas.py run --cells 1000000`` writes the cells in blocks, then registers, trains an
epoch and transforms in a process of its own, whose peak memory is read. ``python benchmarks/atlas.py epochs``
trains the same cells from memory and from each kind of file in turn; ``python benchmarks/atlas.py sorted``
says what it costs that a file sorted by cluster is shuffled by blocks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import torch
import zarr
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD

from distaff.model import LinearVAE

BLOCK = 10_000
N_PROGRAMS = 12
QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


def blocks(n_cells: int, n_genes: int, seed: int = 0):
    """Negative binomial counts of cells that mix programs, about 8 % of them not zero."""
    rng = np.random.default_rng(seed)
    programs = rng.gamma(0.3, 1.0, (N_PROGRAMS, n_genes)) * rng.lognormal(0.0, 1.0, n_genes)
    for start in range(0, n_cells, BLOCK):
        n = min(BLOCK, n_cells - start)
        mean = rng.gamma(0.5, 1.0, (n, N_PROGRAMS)) @ programs + 0.05
        depth = rng.lognormal(np.log(0.1 * n_genes), 0.3, (n, 1))
        mean *= depth / mean.sum(axis=1, keepdims=True)
        counts = rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape)).astype(np.float32)
        counts[:, 0] += counts.sum(axis=1) == 0  # no empty cell
        yield sparse.csr_matrix(counts)


def write_h5ad(path: Path, n_cells: int, n_genes: int, compression: str | None = None) -> float:
    """Write cells block by block; return the share of counts that are not zero."""
    obs = pd.DataFrame({"batch": pd.Categorical(np.where(np.arange(n_cells) % 2, "a", "b"))})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)])
    anndata.AnnData(obs=obs, var=var).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        wide = {"indptr_dtype": np.int64, "compression": compression}
        X = None
        for block in blocks(n_cells, n_genes):
            if X is None:
                anndata.io.write_elem(file, "X", block, dataset_kwargs=wide)
                X = anndata.io.sparse_dataset(file["X"])
            else:
                X.append(block)
        return file["X/data"].shape[0] / (n_cells * n_genes)


def memory(name: str) -> float:
    """MB of this process: ``VmHWM`` for its peak, ``VmRSS`` for now."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def work(path: Path) -> dict[str, float]:
    """Register, train an epoch, transform; seconds of each and peak memory after each."""
    found = {"MB after import": memory("VmRSS")}
    adata = anndata.read_h5ad(path, backed="r")
    start = time.perf_counter()

    def done(what: str) -> None:
        nonlocal start
        found[f"s {what}"] = time.perf_counter() - start
        found[f"peak MB {what}"] = memory("VmHWM")
        start = time.perf_counter()

    LinearVAE.setup_anndata(adata, batch_key="batch")
    done("register")
    model = LinearVAE(adata, n_latent=10, use_observed_lib_size=False)
    done("build")
    model.train(1, seed=0, **QUIET)
    done("train an epoch")
    latent = model.get_latent_representation()
    done("transform")
    assert latent.shape == (adata.n_obs, 10)
    assert np.isfinite(latent).all()
    return found


def run(n_cells: int, n_genes: int, compression: str | None) -> dict[str, float]:
    """Write the file, let a new process work on it, remove it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atlas.h5ad"
        start = time.perf_counter()
        share = write_h5ad(path, n_cells, n_genes, compression)
        found = {"cells": n_cells, "genes": n_genes, "share not zero": share}
        found |= {"s write": time.perf_counter() - start, "GB on disk": path.stat().st_size / 1e9}
        command = [sys.executable, __file__, "work", str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return found | json.loads(answer.splitlines()[-1])


def kept(folder: Path, n_cells: int, n_genes: int) -> dict[str, anndata.AnnData]:
    """Return the same cells in memory and in files of each kind."""
    write_h5ad(folder / "plain.h5ad", n_cells, n_genes)
    data = {"memory": anndata.read_h5ad(folder / "plain.h5ad")}
    data["h5ad"] = anndata.read_h5ad(folder / "plain.h5ad", backed="r")
    for compression in ("gzip", "lzf"):
        data["memory"].write_h5ad(folder / f"{compression}.h5ad", compression=compression)
        data[f"h5ad, {compression}"] = anndata.read_h5ad(folder / f"{compression}.h5ad", backed="r")
    for name, options in {"zarr": {}, "zarr, chunks of 65,536": {"chunks": (2**16,)}}.items():
        group = zarr.open_group(folder / f"{len(data)}.zarr", mode="w")
        anndata.io.write_elem(group, "X", data["memory"].X, dataset_kwargs=options)
        X = anndata.io.sparse_dataset(group["X"])
        data[name] = anndata.AnnData(X, obs=data["memory"].obs.copy(), var=data["memory"].var.copy())
    return data


def epochs(n_cells: int, n_genes: int, n_rounds: int) -> dict[str, dict[str, float]]:
    """Processor seconds of an epoch from memory and from files in the page cache, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for name, adata in kept(Path(folder), n_cells, n_genes).items():
            LinearVAE.setup_anndata(adata)
            models[name] = LinearVAE(adata, n_latent=10)
            models[name].train(1, seed=0, train_size=0.01, validation_size=0.0, **QUIET)
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(n_rounds):
            for name, model in models.items():
                start = time.process_time()
                model.train(1, seed=0, **QUIET)
                seconds[name].append(time.process_time() - start)
                print(name, f"{seconds[name][-1]:.2f}", file=sys.stderr)
    least, base = min(seconds["memory"]), np.array(seconds["memory"])
    return {
        name: {
            "s": min(values),
            "of memory": min(values) / least,
            "median of rounds": float(np.median(np.array(values) / base)),
        }
        for name, values in seconds.items()
    }


def in_order(n_cells: int, n_genes: int) -> dict[str, dict[str, float]]:
    """Held-out reconstruction error from a file that is sorted by cluster, and from memory, by seed."""
    X = sparse.vstack(list(blocks(n_cells, n_genes))).tocsr()
    logs = X.copy()
    logs.data = np.log1p(logs.data)
    axes = TruncatedSVD(10, random_state=0).fit_transform(logs)
    clusters = MiniBatchKMeans(N_PROGRAMS, random_state=0, n_init=1).fit_predict(axes)
    adata = anndata.AnnData(X[np.argsort(clusters, kind="stable")])
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sorted.h5ad"
        adata.write_h5ad(path)
        for name, data in {"memory": adata, "disk": anndata.read_h5ad(path, backed="r")}.items():
            LinearVAE.setup_anndata(data)
            for seed in (0, 1):
                model = LinearVAE(data, n_latent=10)
                model.train(4, seed=seed, check_val_every_n_epoch=4, **QUIET)
                error = model.history["reconstruction_loss_validation"].iloc[-1, 0]
                found.setdefault(name, {})[f"seed {seed}"] = float(error)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "epochs", "sorted", "work"])
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--compression", choices=["gzip", "lzf"])
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.what == "work":
        print(json.dumps(work(args.path)))
        return
    if args.what == "run":
        found = run(args.cells, args.genes, args.compression)
        print(pd.Series(found).round(3).to_string())
    elif args.what == "sorted":
        found = in_order(args.cells, args.genes)
        print(pd.DataFrame(found).T.round(1).to_string())
    else:
        found = epochs(args.cells, args.genes, args.rounds)
        print(pd.DataFrame(found).T.round(3).to_string())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
