"""The beta-VSC report, on a few simulated cells."""

import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.papers import run_trials
from distaff.papers.vsc import VSC, _work

pytestmark = [
    pytest.mark.slow,  # several models are trained
    pytest.mark.filterwarnings("ignore:Too few cells for so many bins"),
]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One short run of each model on four cell types."""
    adata = ds.datasets.simulate_gep(
        60, 60, n_identities=4, n_active_identities=2, n_prog_genes=10, de_prob=0.3, random_state=0
    )
    adata.obs["cell_type"] = pd.Categorical(adata.obs["cell_type"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_work, "pbmc3k", lambda n_genes: adata)
        patch.setattr(_work, "SMALL", {"n_genes": 60, "n_seeds": 1, "epochs": 30, "epochs_on_counts": 10})
        patch.setattr(_work, "N_STARTS", 2)
        _work.cells.cache_clear()
        yield run_trials(tmp_path_factory.mktemp("trials"), VSC.trials(False, 0), VSC.work, say=print)
        _work.cells.cache_clear()


def test_scores_of_all_models(outcome):
    assert outcome.failed == {}
    assert [result.trial.settings["model"] for result in outcome.results] == list(_work.MODELS)
    for result in outcome.results:
        assert result.array("latent").shape == (60, 6)
        assert result.array("tsne").shape == (60, 2)
        assert set(result.values["of_tsne"]) == set(_work.CLUSTER_SCORES)
    assert "of_tsne_3d" in outcome.results[0].values
    assert outcome.find(model=_work.PCS)[0].values["of_tsne"]["NMI"] > 0.5


def test_scores_are_those_of_the_clusters_that_were_kept(outcome):
    """NMI over the geometric mean of the entropies, by hand."""
    result = outcome.results[0]
    types = _work.cells(60).obs["cell_type"].astype(str).to_numpy()
    joint = pd.crosstab(types, result.array("clusters")).to_numpy() / len(types)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nansum(joint * np.log(joint / np.outer(rows, columns)))
    entropies = [-(p * np.log(p)).sum() for p in (rows, columns)]
    assert result.values["of_tsne"]["NMI"] == pytest.approx(information / np.sqrt(np.prod(entropies)))
    assert result.values["of_tsne"]["homogeneity"] == pytest.approx(information / entropies[0])


def test_tables_and_figures(outcome, tmp_path):
    claims, clusters, scores, says = (table.frame for table in VSC.tables(outcome))
    assert len(claims) == 3 * 4 + 4 + 5
    assert list(clusters["model"]) == list(_work.MODELS)
    assert len(scores) == len(_work.MODELS)
    assert all(" > " in text for text in says["best to worst"])
    VSC.draw(outcome, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tsne_2d.png", "tsne_3d.png", "scores.png"}
