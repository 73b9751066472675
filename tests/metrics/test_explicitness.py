"""Explicitness against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from distaff.metrics import explicitness
from distaff.metrics._resampling import canonical_rows, stratified_folds


@pytest.mark.parametrize("n_classes", [2, 3])
def test_brute_force(n_classes) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, 300)
    Z = rng.normal(size=(300, 3)) * [1, 5, 0.1] + y[:, None] * [0.7, 0, 0]
    score = explicitness(Z, y, clip=0, random_state=4)
    rows = canonical_rows(Z)
    X, t = ((Z - Z.mean(axis=0)) / Z.std(axis=0))[rows], y[rows]
    folds = stratified_folds(t, 3, 4)
    areas = []
    for fold in range(3):
        train, test = folds != fold, folds == fold
        p = LogisticRegression(max_iter=1000).fit(X[train], t[train]).predict_proba(X[test])
        areas.append([roc_auc_score(t[test] == c, p[:, c]) for c in range(n_classes)])
    assert score.value == pytest.approx(np.mean(areas), abs=1e-6)
    assert score.summary["normalised"] == pytest.approx(2 * np.mean(areas) - 1, abs=1e-6)
    single = [max(a := roc_auc_score(y == c, Z[:, 0]), 1 - a) for c in range(n_classes)]
    assert score.matrix["y1"][0] == pytest.approx(np.mean(single))


def test_blind_to_rotation() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    Z = rng.normal(size=(600, 3)) + 1.5 * np.eye(3)[y]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert explicitness(Z @ turn, y).value == pytest.approx(explicitness(Z, y).value, abs=0.01)


def test_continuous_factor() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=1000)
    Z = np.column_stack([y, rng.normal(size=1000)])
    score = explicitness(Z, y)
    assert score.value > 0.97
    assert score.details["n_classes"]["y1"] == 5
    assert explicitness(Z[:, [1]], y).value == pytest.approx(0.5, abs=0.05)


def test_single_dimensions_are_judged_on_the_classes_that_have_a_score() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 100).astype(object)
    Z = rng.normal(size=(200, 3))
    Z[:, 0] += 0.5 * (y == "a")
    y[[10, 20, 30]] = ["r1", "r2", "r3"]
    Z[[10, 20, 30], 1] = [5, -5, 6]
    score = explicitness(Z, y)
    assert score.details["n_classes"]["y1"] == 2
    areas = [roc_auc_score(y == c, Z[:, 0]) for c in "ab"]
    assert score.matrix["y1"][0] == pytest.approx(np.mean(np.maximum(areas, np.subtract(1, areas))))
    assert score.best_dimension["y1"] == 0


def test_class_of_one_cell_has_no_score() -> None:
    y = np.array(["a"] * 100 + ["b"] * 100 + ["rare"])
    Z = np.random.default_rng(0).normal(size=(201, 2)) + 10 * (y == "a")[:, None]
    score = explicitness(Z, y)
    assert score.details["n_classes"]["y1"] == 2
    assert score.value == pytest.approx(1.0, abs=0.01)
