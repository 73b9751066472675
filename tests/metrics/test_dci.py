"""DCI: the formulas against worked examples, the importances against latents whose structure is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from distaff.metrics import dci
from distaff.metrics._dimension_score import weighted_mean
from distaff.metrics._learners import importances
from distaff.metrics._resampling import stratified_folds
from distaff.metrics.dci import _concentration

FIVE = 5.0 * np.eye(5)
GENERIC = np.array([[0.8, 0.1], [0.1, 0.6], [0.1, 0.3]])


@pytest.mark.parametrize(
    ("R", "disentanglement", "completeness"),
    [
        (FIVE, 1.0, 1.0),
        (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 1.0, 1.0),
        (np.zeros((10, 10)), 0.0, 0.0),
        (np.vstack([FIVE, FIVE]), 1.0, 0.6989700042389528),
        (FIVE[:2], 1.0, 1.0),  # three factors are missed, and nothing tells
        (np.hstack([FIVE, FIVE]), 0.6989700042389528, 1.0),
        (GENERIC, 0.4041926519304573, 0.30049135604852834),
        (GENERIC[:, :1], 1.0, 0.4183281342821132),
        (GENERIC[:1], 0.4967416, 1.0),
    ],
)
def test_formulas(R, disentanglement, completeness) -> None:
    D, C = _concentration(R), _concentration(R.T)
    assert weighted_mean(D, R.sum(axis=1)) == pytest.approx(disentanglement, abs=1e-7)
    assert weighted_mean(C, R.sum(axis=0)) == pytest.approx(completeness, abs=1e-7)


@pytest.fixture(scope="module")
def factors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2000, 3))


@pytest.fixture(scope="module")
def labels(factors) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "level": np.array(["a", "b", "c"])[np.digitize(factors[:, 0], [-0.5, 0.7])],
            "rare": factors[:, 1] > 1.5,
            "amount": factors[:, 2],
        }
    )


def test_clean_latent(factors, labels) -> None:
    noise = np.random.default_rng(1).normal(size=(2000, 4))
    score = dci(np.hstack([noise, factors]), labels)
    assert score.value > 0.95
    assert score.summary["completeness"] > 0.9
    assert score.best_dimension.tolist() == [4, 5, 6]
    assert score.summary["accuracy"] > 0.98
    assert score.summary["r2"] > 0.98
    np.testing.assert_allclose(score.matrix.sum(), 1.0)
    assert score.per_dimension["best_factor"].tolist()[4:] == ["level", "rare", "amount"]


def test_rotation_and_copies(factors, labels) -> None:
    turn = np.array([[1, 1, 0], [1, -1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    turned = dci(factors @ turn, labels)
    assert turned.value < 0.8
    assert turned.per_dimension["score"][2] > 0.9
    copies = dci(np.hstack([factors, factors]), labels)
    assert copies.value > 0.95
    assert copies.summary["completeness"] == pytest.approx(1 - np.log(2) / np.log(6), abs=0.03)


def test_noise(labels) -> None:
    score = dci(np.random.default_rng(1).normal(size=(2000, 6)), labels[["level", "amount"]])
    assert score.value < 0.1
    assert score.summary["r2"] < 0.02
    share = labels["level"].value_counts(normalize=True).max()
    assert score.summary["accuracy"] == pytest.approx(share, abs=0.03)


def test_published_learner(factors, labels) -> None:
    Z, Y = factors[:600], labels[:600]
    score = dci(Z, Y, learner="gradient_boosting")
    assert score.params["learner"] == "gradient_boosting"
    assert score.value > 0.95
    assert score.summary["accuracy"] > 0.98
    assert score.summary["r2"] > 0.98


def test_published_learner_is_scikit_learns(factors, labels) -> None:
    y = labels["rare"].to_numpy().astype(int)
    found, accuracy = importances(factors, y, learner="gradient_boosting", continuous=False, seed=3)
    seed = int(np.random.default_rng(3).integers(2**31, size=1)[0])
    test = stratified_folds(y, 3, 3) == 0
    model = GradientBoostingClassifier(random_state=seed).fit(factors[~test], y[~test])
    np.testing.assert_allclose(found, model.feature_importances_)
    assert accuracy == model.score(factors[test], y[test])


def test_many_cells_are_bounded() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20_000, 3))
    score = dci(Z, Z[:, 1] > 0)
    assert score.matrix["y1"][1] > 0.95
    assert score.summary["accuracy"] > 0.98


def test_boosting_gives_no_negative_importance() -> None:
    # rounding errors of boosting on classes that one dimension separates; below 0 the entropy is infinite
    labels = np.random.default_rng(0).integers(0, 5, 600)
    one_hot = np.eye(5)[labels]
    Z = one_hot + 0.05 * np.random.default_rng(1).normal(size=one_hot.shape)
    score = dci(Z, one_hot == 1, learner="gradient_boosting")
    assert score.matrix.to_numpy().min() >= 0
    assert score.value == pytest.approx(1.0, abs=0.01)
