"""max_spearman against scipy, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from distaff.metrics import max_spearman


def test_small_example_with_ties_and_a_constant_dimension() -> None:
    Z = [[1.0, 5.0, 2.0], [2.0, 4.0, 2.0], [2.0, 3.0, 2.0], [4.0, 1.0, 2.0], [5.0, 2.0, 2.0]]
    score = max_spearman(Z, [0.0, 0.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(score.matrix["y1"], [0.7404360971988654, 0.8660254037844386, 0.0], atol=1e-12)
    assert score.best_dimension["y1"] == 1
    assert score.details["correlation"]["y1"] == pytest.approx(-0.8660254037844386, abs=1e-12)


def test_against_scipy() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 5)).round(1)
    Y = pd.DataFrame({"u": Z[:, 0] + rng.normal(size=200), "v": rng.poisson(3, 200).astype(float)})
    expected = np.abs(spearmanr(Z, Y).statistic[:5, 5:])
    np.testing.assert_allclose(max_spearman(Z, Y).matrix, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("positive", "ceiling"), [(500, 0.8660258367974654), (200, 0.6928206694379723), (50, 0.37749191050953995)]
)
def test_perfect_separation_reaches_the_ceiling(positive, ceiling) -> None:
    y = np.arange(1000) < positive
    score = max_spearman(-np.arange(1000.0)[:, None], y)
    assert score.value == pytest.approx(ceiling, abs=1e-9)
    assert score.details["ceiling"]["y1"] == pytest.approx(ceiling, abs=1e-9)
    assert score.details["rank_biserial"]["y1"] == pytest.approx(1.0)


def test_rank_biserial_is_the_auc() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 1)).round(1)
    y = rng.random(300) < 0.3 + 0.2 * np.sign(Z[:, 0])
    got = max_spearman(Z, y).details["rank_biserial"]["y1"]
    assert got == pytest.approx(2 * roc_auc_score(y, Z[:, 0]) - 1, abs=1e-12)


def test_classes_are_split_one_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(90, 2)), np.repeat(["B", "NK", "T"], 30)
    score = max_spearman(Z, pd.Series(y, name="cell_type"))
    assert list(score.per_factor.index) == ["cell_type: B", "cell_type: NK", "cell_type: T"]
    expected = abs(spearmanr(Z[:, 0], y == "NK").statistic)
    assert score.matrix.loc[0, "cell_type: NK"] == pytest.approx(expected, abs=1e-12)


def test_continuous_factors_have_no_ceiling() -> None:
    score = max_spearman(np.arange(10.0)[:, None], np.arange(10.0))
    assert score.details[["rank_biserial", "ceiling"]].isna().all(axis=None)
