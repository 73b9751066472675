"""What all tests share: one thread, no windows, closed figures, the folder of real data."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch, numpy and matplotlib are imported: workers of pytest-xdist share the cores, results must not
# depend on the number of threads, and no test may open a window.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="Agg")


import anndata
import numpy as np
import pandas as pd
from scipy import sparse


class Room:
    """Each test begins with one thread, which scanpy and others change for good, in an empty folder.

    It leaves no figure open, and no file where the user would find it.
    """

    def __init__(self) -> None:
        self.home = Path.cwd()
        self.folder = Path(tempfile.mkdtemp(prefix="working-directory-"))

    def pytest_collection_finish(self) -> None:
        """Spare garbage collections all that is imported: scvi-tools starts one whenever training fails."""
        gc.collect()
        gc.freeze()

    def pytest_runtest_setup(self) -> None:
        os.chdir(self.folder)
        torch = sys.modules.get("torch")
        if torch is not None and torch.get_num_threads() != 1:
            torch.set_num_threads(1)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")
        try:
            return (yield)
        finally:
            os.chdir(self.home)
            left = sorted(path.name for path in self.folder.iterdir())
            if left:
                shutil.rmtree(self.folder)
                self.folder.mkdir()
                pytest.fail(f"left in the working directory: {left}")

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    # a plugin of its own, since hooks of this file would not reach the doctests in src
    config.pluginmanager.register(Room())


@pytest.fixture(autouse=True)
def _one_seed(monkeypatch):
    """Give every model that a test builds the same initial weights; a test that fails must fail again."""
    scvi = sys.modules.get("scvi")
    if scvi is not None:
        monkeypatch.setattr(scvi.settings, "_seed", 0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, named by ``DISTAFF_DATA``.

    Without it a test is skipped on a developer's machine and fails in CI, where a forgotten variable must not
    pass for success; ``DISTAFF_DATA=skip`` says that CI has no real data.
    """
    value = os.environ.get("DISTAFF_DATA", "")
    if value == "skip" or (not value and os.environ.get("CI") != "true"):
        pytest.skip("real data: set DISTAFF_DATA to the folder that holds it")
    if not value:
        pytest.fail("DISTAFF_DATA must name the folder of real data in CI (or be 'skip')")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"DISTAFF_DATA must name a folder, got {value!r}")
    return folder


@pytest.fixture
def make_adata():
    """Return a maker of small count data, with covariates on request."""

    def make(n_cells=60, n_genes=20, *, covariates=False, seed=0):
        rng = np.random.default_rng(seed)
        counts = rng.poisson(2.0, (n_cells, n_genes)).astype(np.float32)
        counts[:, 0] += 1  # no empty cell
        obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
        if covariates:
            obs["batch"] = pd.Categorical([f"b{i % 3}" for i in range(n_cells)])
            obs["label"] = pd.Categorical([f"l{i % 2}" for i in range(n_cells)])
            obs["donor"] = pd.Categorical([f"d{i % 4}" for i in range(n_cells)])
            obs["age"] = rng.normal(size=n_cells)
            obs["size"] = rng.uniform(0.5, 2.0, n_cells)
        var = pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)])
        return anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)

    return make
