"""single_dimension_accuracy against scikit-learn and worked examples."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from distaff.metrics import single_dimension_accuracy
from distaff.metrics._logistic import fit_logistic


def reference(x: np.ndarray, y: np.ndarray, **options: float) -> LogisticRegression:
    return LogisticRegression(tol=1e-12, max_iter=1000, solver="newton-cholesky", **options).fit(
        x[:, None], y
    )


@pytest.mark.parametrize("case", ["weak", "separable", "rare", "constant", "outlier", "opposite"])
def test_newton_equals_scikit_learn(case) -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(120) % 2).astype(float)
    x = rng.normal(size=120) + 0.5 * y
    if case == "separable":
        x = x + 50 * y
    if case == "rare":
        y[10:] = 0
    if case == "constant":
        x[:] = 0
    if case == "outlier":
        x[0] = 1e3
    if case == "opposite":
        x = x - 5 * y
    x = (x - x.mean()) / (x.std() or 1)
    slope, intercept = fit_logistic(np.stack([x, -x]), y)
    expected = reference(x, y)
    assert slope[0] == pytest.approx(expected.coef_[0, 0], abs=1e-6)
    assert intercept[0] == pytest.approx(expected.intercept_[0], abs=1e-6)
    assert slope[1] == pytest.approx(-slope[0], abs=1e-8)


def test_equals_cross_validation_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 80)
    Z = rng.normal(size=(160, 4)) + y[:, None] * [0.0, 0.5, 1.0, 3.0]
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    expected = [cross_val_score(model, Z[:, [d]], y, cv=folds).mean() for d in range(4)]
    score = single_dimension_accuracy(Z, y, random_state=3)
    np.testing.assert_allclose(score.matrix["y1"], expected, atol=1e-12)
    assert score.best_dimension["y1"] == 3


def test_training_accuracy() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    Z = rng.normal(size=(60, 3)) + 0.5 * y[:, None]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    expected = [model.fit(Z[:, [d]], y).score(Z[:, [d]], y) for d in range(3)]
    np.testing.assert_allclose(single_dimension_accuracy(Z, y, cv=None).matrix["y1"], expected, atol=1e-12)


def test_never_above_the_best_threshold() -> None:
    # the best threshold on these cells has a balanced accuracy of 0.875
    z = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 5, 6, 7])[:, None]
    y = [0, 0, 0, 0, 1, 0, 0, 1, 1, 1]
    assert 0.5 < single_dimension_accuracy(z, y, cv=None).value <= 0.875


def test_classes_are_balanced_before_the_fit() -> None:
    # 5 % positives: without balancing, a useless dimension would reach 0.95
    rng = np.random.default_rng(0)
    y = np.arange(2000) < 100
    score = single_dimension_accuracy(rng.normal(size=(2000, 1)), y)
    assert score.value == pytest.approx(0.5, abs=0.12)
    assert score.details["n_balanced"]["y1"] == 100


def test_scale_does_not_matter() -> None:
    y = np.repeat([0, 1], 50)
    Z = np.random.default_rng(0).normal(size=(100, 1)) + 5 * y[:, None]
    tiny = single_dimension_accuracy(1e-5 * Z, y)
    assert tiny.value == single_dimension_accuracy(Z, y).value > 0.95


def test_small_classes() -> None:
    Z = np.random.default_rng(0).normal(size=(40, 2))
    y = np.array(["a"] * 20 + ["b"] * 16 + ["c"] * 3 + ["d"])
    with pytest.warns(UserWarning, match="'y1: d'"):
        score = single_dimension_accuracy(Z, y)
    assert score.details["n_folds"].tolist() == [5, 5, 3, 0]
    assert np.isnan(score.per_factor["y1: d"])
    assert score.n_factors_used == 3
    assert np.isfinite(score.value)


def test_seed_and_threads() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b", "c"], 300)
    Z = rng.normal(size=(300, 3)) + (y == "b")[:, None]
    one = single_dimension_accuracy(Z, y)
    np.testing.assert_array_equal(one.matrix, single_dimension_accuracy(Z, y, n_jobs=2).matrix)
    assert (one.matrix != single_dimension_accuracy(Z, y, random_state=1).matrix).any(axis=None)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"cv": 1}, ValueError, "cv must be >= 2"),
        ({"cv": 2.5}, TypeError, "cv must be an integer"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0"),
    ],
)
def test_bad_options(options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        single_dimension_accuracy(np.arange(10.0)[:, None], np.arange(10) % 2, **options)


def test_continuous_factor() -> None:
    with pytest.raises(ValueError, match="classes only, got continuous 'y1'.*max_spearman"):
        single_dimension_accuracy(np.arange(10.0)[:, None], np.arange(10.0))


def test_fast_enough() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(2000, 32)), rng.integers(0, 10, 2000)
    start = time.perf_counter()
    single_dimension_accuracy(Z, y)
    assert time.perf_counter() - start < 5  # 0.4 s on a quiet core


@pytest.mark.parametrize("value", [-1e4, 1e9])
@pytest.mark.parametrize("cv", [None, 5])
def test_extreme_cell_does_not_hide_a_dimension(value, cv) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    Z = rng.normal(size=(400, 2)) + y[:, None] * [1.0, 2.0]
    clean = single_dimension_accuracy(Z, y, cv=cv).matrix
    Z[7] = value
    np.testing.assert_allclose(single_dimension_accuracy(Z, y, cv=cv).matrix, clean, atol=0.02)


def test_long_tails_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    Z = rng.exponential(size=(200, 3)) * (1 + y[:, None])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    expected = [model.fit(Z[:, [d]], y).score(Z[:, [d]], y) for d in range(3)]
    np.testing.assert_allclose(single_dimension_accuracy(Z, y, cv=None).matrix["y1"], expected, atol=1e-12)
