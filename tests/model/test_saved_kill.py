"""A process that is killed while it saves leaves the old model or the new one, whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pytest

from distaff.model import BetaVAE

sys.path.insert(0, str(Path(__file__).parent))
from make_saved_models import SMALL, fitted, tiny_data

sys.path.pop(0)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL"),
]
SCRIPT = Path(__file__).with_name("saving_child.py")
N_KILLS = 24
MOST_STEPS = 100
NEVER = 10_000  # more steps than there are


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of two models, each with data of its own."""
    folder = tmp_path_factory.mktemp("models")
    for name, n_cells in (("old", 24), ("new", 20)):
        adata = tiny_data()[:n_cells].copy()
        model = fitted(BetaVAE, adata, n_latent=2 if name == "old" else 3, **SMALL)
        model.save(folder / name, save_anndata=True)
    return folder


@pytest.fixture(scope="module")
def server(models):
    """Process that starts the children."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(SCRIPT), str(models)], **pipes) as process:
        for line in process.stdout:
            if line == "ready\n":
                break
        yield process
        process.stdin.close()


def ask(server, folder, step):
    server.stdin.write(f"{folder}\t{step}\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def model_in(folder):
    """Which of the two models a folder holds, with its data."""
    model = BetaVAE.load(folder, accelerator="cpu")
    alone = BetaVAE.load(folder, adata=False, accelerator="cpu")
    name = {24: "old", 20: "new"}[model.adata.n_obs]
    n_latent = 2 if name == "old" else 3
    assert model.get_latent_representation().shape == (model.adata.n_obs, n_latent)
    assert alone.module.posterior.n_latent == n_latent
    assert len(model.train_indices_) + len(model.validation_indices_) == model.adata.n_obs
    return name


def test_killed_at_any_time(server, models, tmp_path):
    folder = Path(shutil.copytree(models / "old", tmp_path / "model"))
    rng, found = np.random.default_rng(0), []
    start = time.monotonic()
    ask(server, tmp_path / "other", NEVER)
    assert server.stdout.readline() == "done\n"
    one_save = time.monotonic() - start
    for _ in range(N_KILLS):
        process = ask(server, folder, 0)
        time.sleep(rng.uniform(0, 2.5 * one_save))
        os.kill(process, signal.SIGKILL)
        assert server.stdout.readline() == "killed\n"
        found.append(model_in(folder))
    assert set(found) == {"old", "new"}
    new = BetaVAE.load(models / "new")
    new.save(folder, overwrite=True, save_anndata=True)
    assert model_in(folder) == "new"
    assert len(list(folder.iterdir())) == 4


def test_loading_while_another_process_saves(server, models, tmp_path):
    folder = Path(shutil.copytree(models / "old", tmp_path / "model"))
    process = ask(server, folder, 0)
    end, found = time.monotonic() + 60, set()
    while len(found) < 2 and time.monotonic() < end:
        for _ in range(10):
            found.add(BetaVAE.load(folder, adata=False, accelerator="cpu").module.posterior.n_latent)
    os.kill(process, signal.SIGKILL)
    assert server.stdout.readline() == "killed\n"
    assert found == {2, 3}


@pytest.mark.parametrize("start", ["old", "nothing"])
def test_killed_at_every_step(server, models, tmp_path, start):
    found = []
    for step in range(1, MOST_STEPS):
        folder = tmp_path / str(step)
        if start == "old":
            shutil.copytree(models / "old", folder)
        ask(server, folder, step)
        end = server.stdout.readline()
        try:
            found.append(model_in(folder))
        except FileNotFoundError:
            found.append("nothing")
        if end == "done\n":
            break
    assert end == "done\n"
    assert len(found) > 15
    assert found == sorted(found, key=[start, "new"].index)  # first all the one, then all the other
    assert set(found) == {start, "new"}


@pytest.fixture(scope="module")
def half_done(server, models, tmp_path_factory):
    """Folder of the first kill that leaves the new model, its files not in their places yet."""
    for step in range(10, MOST_STEPS):
        folder = Path(shutil.copytree(models / "old", tmp_path_factory.mktemp("half") / "model"))
        ask(server, folder, step)
        assert server.stdout.readline() == "killed\n"
        if model_in(folder) == "new":
            assert len(list(folder.glob("[!.]*.*.*"))) == 2
            return folder
    raise AssertionError("no such step")


def test_killed_again_while_files_are_not_in_their_places(server, half_done, tmp_path):
    for step in range(1, MOST_STEPS, 2):
        folder = Path(shutil.copytree(half_done, tmp_path / str(step)))
        ask(server, folder, step)
        end = server.stdout.readline()
        assert model_in(folder) == "new"
        if end == "done\n":
            break
    assert end == "done\n"
    assert len(list(folder.iterdir())) == 4


def test_data_of_a_killed_save_are_kept_by_the_next(models, half_done, tmp_path):
    folder = Path(shutil.copytree(half_done, tmp_path / "model"))
    BetaVAE.load(models / "new").save(folder, overwrite=True)
    files = ["adata.h5ad", "model.json", "model.pt", "model.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert anndata.read_h5ad(folder / "adata.h5ad").n_obs == 20
