"""Two processes train as one with minibatches of both: by themselves, and through torchrun."""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import pytest
import scvi
import torch
from scvi.train import SaveCheckpoint

from distaff.model import BetaVAE
from distaff.train import CellLoader, data_parallel, number_of_processes

SCRIPT = Path(__file__).with_name("shared_runs.py")
MODELS = ("linear", "annotated", "capacity", "spike and slab", "terms across cells")
TIME_LIMIT = 240  # seconds; a process that waits for one that died would wait for half an hour
# what a batch system or an outer run may have left
FOREIGN = ("SLURM_", "LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_", "NODE_RANK", "GROUP_RANK")


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(*command, folder):
    pipes = {"capture_output": True, "text": True, "timeout": TIME_LIMIT}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment(), check=False, **pipes)
    assert done.returncode == 0, done.stderr[-3000:]


def results(folder, name, rank):
    return torch.load(folder / f"{name} {rank}.pt", weights_only=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Folder of what this process trained."""
    spec = importlib.util.spec_from_file_location("shared_runs", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("alone")
    logging_dir = scvi.settings.logging_dir
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script.main(folder, 1, [*MODELS, "checkpoints"])
    scvi.settings.logging_dir = logging_dir
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Folder of what two processes trained, which torchrun started."""
    folder = tmp_path_factory.mktemp("together")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    run(*torchrun, SCRIPT, folder, "2", *MODELS, "checkpoints", "other cells", folder=folder)
    return folder


def check_alike(alone, together, name):
    expected, first, second = results(alone, name, 0), results(together, name, 0), results(together, name, 1)
    for weight, value in first["weights"].items():
        assert torch.equal(second["weights"][weight], value), f"{weight} of the two processes"
        torch.testing.assert_close(value, expected["weights"][weight], rtol=1e-3, atol=1e-4, msg=weight)
    assert first["history"].keys() == second["history"].keys() == expected["history"].keys()
    for curve, values in first["history"].items():
        assert values.equals(second["history"][curve]), f"{curve} of the two processes"
        found, one = values.to_numpy(dtype=float), expected["history"][curve].to_numpy(dtype=float)
        np.testing.assert_allclose(found, one, rtol=1e-3, atol=1e-5, err_msg=curve)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_processes_train_as_one(alone, together, name):
    check_alike(alone, together, name)


@pytest.mark.slow
def test_proximal_steps_reach_the_same_zeros(alone, together):
    one, two = (
        results(folder, "annotated", 0)["weights"]["decoder.weights.raw"] == 0 for folder in (alone, together)
    )
    assert one.any()
    assert torch.equal(one, two)


@pytest.mark.slow
def test_early_stopping_and_checkpoints(alone, together):
    expected = results(alone, "checkpoints", 0)
    assert expected["n_epochs"] < 50
    for rank in (0, 1):
        found = results(together, "checkpoints", rank)
        assert found["n_epochs"] == expected["n_epochs"]
        assert Path(found["best"], "model.pt").is_file()
    (written,) = Path(found["best"]).parent.iterdir()
    assert written == Path(found["best"])


@pytest.mark.slow
def test_one_process_writes(together):
    wanted = {f"{name} {rank}.pt" for name in (*MODELS, "checkpoints") for rank in (0, 1)}
    assert {path.name for path in together.iterdir()} == {*wanted, "checkpoints 2"}  # no logs


@pytest.mark.slow
def test_a_script_starts_its_processes(alone, tmp_path):
    run(SCRIPT, tmp_path, "2", "linear", folder=tmp_path)
    check_alike(alone, tmp_path, "linear")


def test_processes_are_counted():
    assert number_of_processes("cpu", "auto", 1) == 1
    assert number_of_processes("cpu", 3, 2) == 6


def test_processes_must_be_scripts():
    for strategy in ("ddp_spawn", "ddp_notebook", "ddp_fork_find_unused_parameters_true"):
        with pytest.raises(ValueError, match=f"strategy must start processes as scripts, got '{strategy}'"):
            data_parallel({"strategy": strategy}, several=True)


def test_checkpoints_of_every_process_are_refused():
    with pytest.raises(ValueError, match="must not have a SaveCheckpoint.*Use enable_checkpointing=True"):
        data_parallel({"callbacks": [SaveCheckpoint()]}, several=True)


def test_early_stopping_is_as_asked_for():
    options = {"early_stopping": True, "early_stopping_patience": 3, "early_stopping_warmup_epochs": 7}
    changed = data_parallel(options, several=True)
    (callback,) = changed["callbacks"]
    assert (callback.patience, callback.warmup_epochs, callback.mode) == (3, 7, "min")
    assert changed["check_val_every_n_epoch"] == 1


def test_what_one_device_is_asked_for_stays():
    assert data_parallel({}, several=False) == {}
    assert data_parallel({"strategy": "auto"}, several=False) == {}


def test_processes_must_draw_the_same(make_adata, monkeypatch):
    monkeypatch.setattr("scvi.settings._seed", None)
    adata = make_adata()
    BetaVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match=r"seed must be given for several devices.*Pass seed=0"):
        BetaVAE(adata, n_latent=2).train(1, accelerator="cpu", devices=2)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("n_cells", [100, 98])  # 98: a last minibatch of fewer cells than processes
def test_processes_read_their_parts_of_the_same_minibatches(make_adata, tmp_path, on_disk, n_cells):
    adata = make_adata(n_cells)
    if on_disk:
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r+")
    BetaVAE.setup_anndata(adata)
    manager = BetaVAE(adata, n_latent=2, n_hidden=4).adata_manager

    def minibatches(**processes):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return list(CellLoader(manager, batch_size=32, shuffle=True, **processes))

    parts = [minibatches(rank=rank, n_processes=3) for rank in range(3)]
    for whole, *shared in zip(minibatches(), *parts, strict=True):
        n = len(whole["X"])
        if n < 3:
            assert all(torch.equal(same["X"].to_dense(), whole["X"].to_dense()) for same in shared)
            continue
        X = torch.cat([own.tensors["X"].to_dense() for own in shared])
        assert torch.equal(X, whole["X"].to_dense())
        assert [own.part.stop - own.part.start for own in shared] == [n // 3 + (n % 3 > i) for i in (2, 1, 0)]
