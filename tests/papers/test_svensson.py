"""Five decoders, times and convergence, on simulated counts."""

import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.papers import run_trials
from distaff.papers.svensson import SVENSSON, _measures, _work

pytestmark = pytest.mark.slow  # several models are trained


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One short run of each trial."""
    folder = tmp_path_factory.mktemp("svensson")
    adata = ds.datasets.simulate_gep(
        240, 60, n_identities=4, n_active_identities=2, n_prog_genes=10, de_prob=0.3, random_state=0
    )
    adata.obs["cell_type"] = pd.Categorical(adata.obs["cell_type"])
    for slot in (adata.varm, adata.obsm, adata.uns):
        slot.clear()
    adata.write_h5ad(folder / "counts.h5ad")
    with pytest.MonkeyPatch.context() as patch:
        small = {"n_latent": 3, "n_seeds": 1, "epochs": 25, "timed": (100, 200, 400), "converging": (0.5,)}
        patch.setattr(_work, "SMALL", small)
        patch.setattr(_work, "RULE", 3000)
        trials = SVENSSON.trials(False, 0, data=folder / "counts.h5ad")
        return run_trials(folder / "trials", trials, SVENSSON.work, say=print)


def test_every_trial_has_its_result(outcome):
    assert outcome.failed == {}
    fits, times = outcome.find(part="fit"), outcome.find(part="time", device="cpu")
    assert [result.trial.settings["variant"] for result in fits] == list(_work.VARIANTS)
    for result in fits:
        curve = result.array("curve")
        assert len(curve) == 25
        assert curve[-1] < curve[0]
        assert result.array("latent").shape == (240, 3)
        assert result.array("spectrum").sum() == pytest.approx(1)
    simplex = outcome.find(variant="LDVAE, logistic normal")[0].array("latent")
    np.testing.assert_allclose(simplex.sum(axis=1), 1, atol=1e-4)
    assert [result.trial.settings["n_cells"] for result in times] == [100, 200, 400, 200]
    assert times[-1].values["non_zero"] > times[1].values["non_zero"]
    (part,) = outcome.find(part="converge")
    assert len(part.array("curve")) == 3000 // 120


def test_tables_and_figures(outcome, tmp_path):
    claims, errors, times, curves = (table.frame for table in SVENSSON.tables(outcome))
    assert {"Fig. 1b", "Fig. 1c", "Fig. S2", "Fig. S3", "Fig. S5a", "Fig. S5b"} == set(claims["where"])
    assert errors["error: excess %"].iloc[0] == 0
    assert errors["published: excess %"].iloc[1] == pytest.approx(100 * (2260.8 / 2239.5 - 1))
    assert len(times) == 4
    assert len(curves) == 2
    zero = errors.set_index("model")["smallest eigenvalue"]
    assert zero["LDVAE, logistic normal"] < 1e-6 < zero["LDVAE, normal"]
    SVENSSON.draw(outcome, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 7


def test_convergence_is_the_first_epoch_with_a_hundredth_left():
    curve = np.array([100.0, 50.0, 1.5, 1.0, 0.8, 0.5, 0.52])
    assert _measures._converged_at(curve) == 4


def test_line_of_times_and_what_is_off_it():
    times = pd.DataFrame({"cells": [10, 100, 1000], "seconds": [0.3, 2.1, 20.1]})
    assert _measures.fitted_line(times) == pytest.approx((0.02, 0.1, 0.0), abs=1e-9)
    times.loc[1, "seconds"] = 4.0
    assert _measures.fitted_line(times)[2] > 0.2


def test_cells_drawn_again_and_again():
    adata = ds.datasets.simulate_factors(50, 30, n_factors=2, random_state=0)
    drawn = _work._drawn(adata, 120, 1, 0)
    assert drawn.shape == (120, 30)
    rows = {row.tobytes() for row in adata.X.toarray().astype(np.float32)}
    assert all(row.tobytes() in rows for row in drawn.X.toarray())
    part = _work._drawn(adata, 40, 1, 0)
    assert len({row.tobytes() for row in part.X.toarray()}) == 40
    assert _work._drawn(adata, 40, 3, 0).X.sum() > 2 * part.X.sum()
