"""The first run of all, which compiles the loops, gives the bits of those that read them from disk."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRAINS = """
import hashlib
import warnings

warnings.filterwarnings("ignore")

import torch

import distaff as ds

torch.set_num_threads(1)
digest = hashlib.sha256()
adata = ds.datasets.simulate_gep(300, 200, random_state=0)
for name in ("SparseVAE", "ProgramVAE"):
    model_class = getattr(ds.model, name)
    model_class.setup_anndata(adata)
    model = model_class(adata, n_latent=4)
    model.train(3, seed=0, accelerator="cpu", enable_progress_bar=False)
    digest.update(model.get_latent_representation().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_loops_that_were_just_compiled_round_as_those_on_disk(tmp_path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", TRAINS], env=environment, capture_output=True, text=True, check=True
        )
        found.append(done.stdout.split()[-1])
    assert list(tmp_path.rglob("*.nbc"))
    assert found[0] == found[1]
