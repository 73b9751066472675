"""The study of gene sets, on a simulation with the layout of its cells."""

import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.papers import run_trials
from distaff.papers.rybakov import RYBAKOV, _work

SETS = (
    "INTERFERON_SIGNALING",
    "SIGNALING_BY_THE_B_CELL_RECEPTOR_BCR",
    "ANTIVIRAL_MECHANISM_BY_IFN_STIMULATED_GENES",
    "METABOLISM",
)

STEPS = 400

pytestmark = pytest.mark.slow  # several models are trained


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Counts of four programs, of which one follows the condition and one the B cells, and sets of their genes."""
    folder = tmp_path_factory.mktemp("rybakov")
    adata = ds.datasets.simulate_factors(200, 120, n_factors=4, n_prog_genes=25, random_state=0)
    usage = adata.obsm["program_usage"].to_numpy()
    adata.obs["condition"] = np.where(usage[:, 0] > 0.5, "stim", "ctrl")
    adata.obs["cell_type"] = pd.Categorical(np.where(usage[:, 1] > 0.5, "B cells", "NK cells"))
    adata.obs.loc[adata.obs_names[:9], "cell_type"] = np.nan
    members = adata.varm["program_genes"].to_numpy()
    lines = ["\t".join([name, "", *adata.var_names[members[:, i]]]) for i, name in enumerate(SETS)]
    (folder / "sets.gmt").write_text("\n".join(lines) + "\n")
    for slot in (adata.varm, adata.obsm, adata.uns):
        slot.clear()
    adata.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad", folder / "sets.gmt"


@pytest.fixture(scope="module")
def outcome(files, tmp_path_factory):
    """One short run of each model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_work, "SMALL", {"n_seeds": 1, "n_cells": None, "epochs_published": 1, "epochs": 40})
        patch.setattr(_work, "STEPS_OF_AN_EPOCH", STEPS)
        patch.setattr(_work, "LR", 5e-3)
        trials = RYBAKOV.trials(False, 0, data=files[0], gene_sets=files[1])
        return run_trials(tmp_path_factory.mktemp("trials"), trials, RYBAKOV.work, say=print)


def test_trials_are_one_a_model_and_seed(files):
    names = [trial.name for trial in RYBAKOV.trials(True, 3, *files)]
    assert len(names) == len(set(names)) == 12
    assert names[0] == "autoencoder, paper, seed 3"


def test_terms_stand_for_what_they_should(outcome):
    assert outcome.failed == {}
    for result in outcome.results:
        accuracy = pd.Series(result.values["accuracy"]["condition"])
        assert accuracy.idxmax() == SETS[0], result.trial.name
        assert accuracy.max() > 0.65
        assert result.array("latent").shape == (200, len(result.values["factor_names"]))
        assert result.array("held_out").sum() == 40
        assert result.values["seconds_of_training"] > 0
    paper = outcome.results[0].values
    assert len(paper["by_epoch"]["zeros"]) == round(STEPS / 3)
    assert paper["by_epoch"]["zeros"][-1] > 0.5
    zeros = np.mean(outcome.results[0].array("loadings") == 0)
    assert zeros > 0.3


def test_tables_and_figures(outcome, tmp_path):
    claims, accuracies, runs, norms = (table.frame for table in RYBAKOV.tables(outcome))
    assert set(claims["verdict"]) <= {"agrees", "differs"}
    assert {"Fig. 1a", "Fig. 1b", "Fig. 2", "Table 1"} <= set(claims["where"])
    assert set(accuracies["term"]) == {SETS[0], SETS[2]}
    assert len(runs) == 4
    assert len(norms) == 4
    RYBAKOV.draw(outcome, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 6


def test_what_is_missing_is_left_out(outcome, tmp_path):
    part = type(outcome)(outcome.results[:1], {"others": "not done"})
    claims = RYBAKOV.tables(part)[0].frame
    assert "Table 1" not in set(claims["where"])
    RYBAKOV.draw(part, tmp_path)


def test_gene_sets_are_asked_for(monkeypatch):
    monkeypatch.delenv("DISTAFF_DATA", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r"gene_sets must be a file of gene sets.*--gene-sets FILE.gmt"
    ):
        RYBAKOV.trials(False, 0)
