"""Train models in child processes that are killed; started by ``test_run_killed.py``.

The first argument is a folder to work in, the others name runs. Each is trained once without a folder, and a line
with its name, its checksum and its seconds says what it should come to. Then each line of the input is a name and a
folder to keep the run in. The answer is the process id of a child that trains it, then a line at its end: the
checksum, or how it ended. Every epoch is written down.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from hashlib import sha256
from pathlib import Path

warnings.simplefilter("ignore")

import anndata  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from scipy import sparse  # noqa: E402

import distaff as ds  # noqa: E402
from distaff.train import keeper  # noqa: E402

keeper.SHARE_OF_TIME = 1e9
N_CELLS, N_GENES = 150, 30
FAST = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 32, "seed": 0}


def make_adata() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 1.0, (N_CELLS, 4)) @ rng.gamma(0.5, 1.0, (4, N_GENES))
    counts = rng.poisson(rates).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"batch": pd.Categorical([f"b{i % 3}" for i in range(N_CELLS)])},
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    var = pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)])
    adata = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    ds.pp.gene_sets(adata, {"A": adata.var_names[:12], "B": adata.var_names[10:24]})
    return adata


ADATA = make_adata()


def built(name, **options):
    cls = getattr(ds.model, name)
    cls.setup_anndata(ADATA, batch_key="batch")
    return cls(ADATA, **options)


def plain(name, n_epochs=8, **options):
    def run(folder):
        model = built(name, **options)
        model.train(n_epochs, checkpoint_dir=folder, **FAST)
        return model

    return run


def stops_early(folder):
    model = built("BetaVAE", n_latent=3, n_hidden=8, kl_warmup_epochs=2)
    stop = {"early_stopping": True, "early_stopping_patience": 3, "early_stopping_min_delta": 0.5}
    model.train(lr_schedule=((5, 5e-3), (25, 1e-3)), checkpoint_dir=folder, **stop, **FAST)
    assert 6 < len(model.history["train_loss"]) < 30
    return model


def single_steps(folder):
    model = built("BetaVAE", n_latent=3, n_hidden=8, capacity=3.0)
    clipped = {"gradient_clip_val": 1.0, "check_val_every_n_epoch": 2}
    model.train(lr_schedule=((3, 1e-3), (5, 1e-4)), checkpoint_dir=folder, **clipped, **FAST)
    return model


def second_run(folder):
    model = built("LinearVAE", n_latent=3)
    model.train(2, **FAST)
    model.train(6, checkpoint_dir=folder, **{**FAST, "seed": 1})
    return model


def from_file(folder):
    path = Path(sys.argv[1]) / "cells.h5ad"
    if not path.exists():
        make_adata().write_h5ad(path)
    adata = anndata.read_h5ad(path, backed="r")
    ds.model.BetaVAE.setup_anndata(adata, batch_key="batch")
    model = ds.model.BetaVAE(adata, n_latent=3, n_hidden=8)
    model.train(8, checkpoint_dir=folder, **FAST)
    return model


def slalom(folder):
    model = built("FSCLVM", n_dense=1)
    options = {"check_val_every_n_epoch": 1, **FAST}
    model.train(10, checkpoint_dir=folder, **options)
    return model


RUNS = {
    "linear": plain("LinearVAE", n_latent=3),
    "soft mask": plain("AnnotatedVAE", lambda_off_mask=0.5, lambda_group=0.5, n_dense=1, n_sparse=1),
    "hard mask": plain("AnnotatedVAE", mask="hard", lambda_group=0.5),
    "capacity": plain("BetaVAE", n_latent=3, n_hidden=8, capacity=3.0),
    "program": plain("ProgramVAE", n_latent=3),
    "sparse": plain("SparseVAE", n_latent=3, n_hidden=8),
    "terms across cells": plain(
        "FactorVAE",
        n_latent=3,
        n_hidden=8,
        total_correlation=1.0,
        dip=(3.0, 3.0),
        use_observed_lib_size=False,
    ),
    "slalom": slalom,
    "autoencoder": plain("Autoencoder", layers=(16, 8), n_latent=3),
    "stops early": stops_early,
    "single steps": single_steps,
    "second run": second_run,
    "from file": from_file,
}


def checksum(model) -> str:
    """Of weights, optimiser, schedules, curves and latent, to the last bit."""
    digest = sha256()
    for value in model.module.state_dict().values():
        digest.update(value.numpy().tobytes())
    (optimiser,) = model.trainer.optimizers
    for group in optimiser.param_groups:
        digest.update(repr({k: v for k, v in group.items() if k != "params"}).encode())
        for weight in group["params"]:
            for key in ("step", "exp_avg", "exp_avg_sq"):
                digest.update(optimiser.state[weight][key].numpy().tobytes())
    for name, curve in sorted(model.history.items()):
        digest.update(name.encode() + curve.to_csv().encode())
        digest.update(curve.to_numpy(dtype=np.float64).tobytes())
    digest.update(model.get_latent_representation().tobytes())
    digest.update(repr((model.trainer.current_epoch, model.trainer.global_step)).encode())
    return digest.hexdigest()


def child(name: str, folder: str, result: int) -> None:
    os.write(result, checksum(RUNS[name](folder)).encode())


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[2:]:
        RUNS[name](None)  # compiles what it needs
        start = time.monotonic()
        model = RUNS[name](None)
        print(f"run\t{name}\t{checksum(model)}\t{time.monotonic() - start}", flush=True)
    print("ready", flush=True)
    for line in sys.stdin:
        name, folder = line.rstrip("\n").split("\t")
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                child(name, folder, write)
            finally:
                os._exit(0)
        os.close(write)
        print(f"pid\t{process}", flush=True)
        _, status = os.waitpid(process, 0)
        found = os.read(read, 100).decode()
        os.close(read)
        print(f"end\t{found or ('killed' if os.WIFSIGNALED(status) else 'interrupted')}", flush=True)


if __name__ == "__main__":
    main()
