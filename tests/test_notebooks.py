"""The notebooks run from top to bottom, at small size: all code cells in one process, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "notebooks"
MAX_BYTES = 600_000
# what the cell tagged "parameters" sets, small
SMALL: dict[str, dict[str, Any]] = {
    "quickstart": {"n_genes": 200, "n_programs": 4, "epochs": 2},
    "beta_and_capacity": {
        "n_cells": 200,
        "n_genes": 100,
        "betas": [1, 10],
        "capacities": [4],
        "seeds": [0, 1],
        "epochs": 2,
    },
    "gene_programs": {"n_genes": 400, "n_factors": 4, "epochs": 2, "seeds": [0, 1]},
    "pathway_activity": {"n_genes": 600, "epochs": 2, "query_epochs": 2},
    "sparse_programs": {"n_cells": 200, "n_genes": 100, "n_blood_genes": 100, "n_latent": 4, "epochs": 20},
    "scores_for_any_embedding": {"n_cells": 500, "n_genes": 100, "n_dims": 3, "epochs": 2},
    "sharing": {"n_genes": 200, "n_programs": 3, "epochs": 2, "query_epochs": 2},
    "atlas_from_disk": {"n_cells": 600, "n_genes": 100, "epochs": 2, "n_programs": 3},
}
NEED_DATA: set[str] = {
    "gene_programs",
    "pathway_activity",
    "quickstart",
    "scores_for_any_embedding",
    "sharing",
    "sparse_programs",
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the source distribution has no notebooks")


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_all_notebooks_are_run() -> None:
    assert sorted(SMALL) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")  # execute.py refuses those that a reader would see
def test_notebook_runs_at_small_size(name, request, tmp_path, monkeypatch) -> None:
    if name in NEED_DATA:
        monkeypatch.setenv("DISTAFF_DATA", str(request.getfixturevalue("data_dir")))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, cell in enumerate(read(name).cells):
        if cell.cell_type != "code":
            continue
        exec(compile(cell.source, f"{name}, cell {number}", "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            assert names.keys() >= SMALL[name].keys()
            names.update(SMALL[name])
        torch.set_num_threads(1)  # scanpy takes all cores
        plt.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_kept_as_executed(name) -> None:
    """From top to bottom, small, with its figures, and without errors, warnings and paths of a machine."""
    notebook = read(name)
    assert (FOLDER / f"{name}.ipynb").stat().st_size <= MAX_BYTES
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [
        output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert not re.search(r"/(work|home|Users|root|tmp)/", nbformat.writes(notebook))
