"""Models that earlier versions saved load, and give the latent that they gave."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent))
from make_saved_models import MODELS, SAVED, cells_of, class_of

sys.path.pop(0)
FOLDERS = sorted(path for path in SAVED.glob("*/*") if path.is_dir())


def test_there_is_one_for_every_class():
    assert {path.name for path in FOLDERS} >= set(MODELS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: "-".join(path.parts[-2:]))
def test_model_of_an_earlier_version(folder):
    expected = load_file(folder.parent / "expected.safetensors")[folder.name]
    cls, cells = class_of(folder.name), cells_of(folder.name)
    loaded = cls.load(folder, adata=False, accelerator="cpu")
    assert loaded.is_trained
    for model in (loaded, cls.load(folder, cells, accelerator="cpu")):
        latent = model.get_latent_representation(cells)
        np.testing.assert_allclose(latent, expected, rtol=1e-4, atol=1e-5)
