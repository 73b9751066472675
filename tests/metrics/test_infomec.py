"""InfoMEC: ratios against a worked example, information and fits against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss

from distaff.metrics import infomec
from distaff.metrics.infomec import _ratios

NMI = np.array([[0.9, 0.1, 0.0], [0.1, 0.6, 0.2]]).T  # (dimensions, factors)


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(0)
    Y = pd.DataFrame({"a": rng.integers(0, 3, 900), "b": rng.choice(2, 900, p=[0.8, 0.2])})
    Z = np.column_stack(
        [Y["a"] + rng.normal(size=900), Y["b"] + 0.7 * rng.normal(size=900), rng.normal(size=900)]
    )
    return Z, Y


class TestRatios:
    def test_example(self) -> None:
        parts = _ratios(NMI, np.ones(3, dtype=bool))
        assert parts.total_infom == pytest.approx(0.838095238095238, abs=1e-12)
        assert parts.infoc.mean() == pytest.approx(0.6750000000000002, abs=1e-12)

    def test_silent_dimension_is_left_out(self) -> None:
        silent = np.vstack([NMI, [0.0, 0.0]])
        parts = _ratios(silent, np.ones(4, dtype=bool))
        assert parts.weights.tolist() == [1, 1, 1, 0]
        assert parts.total_infom == pytest.approx(0.838095238095238)
        inactive = _ratios(np.vstack([NMI, [0.3, 0.3]]), np.array([True, True, True, False]))
        assert inactive.total_infom == pytest.approx(0.838095238095238)
        np.testing.assert_allclose(inactive.infoc, _ratios(NMI, np.ones(3, dtype=bool)).infoc)

    def test_one_of_each(self) -> None:
        assert _ratios(NMI[:1], np.ones(1, dtype=bool)).infoc.tolist() == [1.0, 1.0]
        assert _ratios(NMI[:, :1], np.ones(3, dtype=bool)).infom.tolist() == [1.0, 1.0, 0.0]

    def test_nothing(self) -> None:
        parts = _ratios(np.zeros((3, 2)), np.zeros(3, dtype=bool))
        assert (parts.total_infom, parts.infoc.tolist()) == (0.0, [0.0, 0.0])


def test_neighbours_are_scikit_learns(problem) -> None:
    Z, Y = problem
    score = infomec(Z, Y, estimator="knn", n_neighbors=3)
    X = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    for k in Y:
        share = Y[k].value_counts(normalize=True)
        expected = mutual_info_classif(X, Y[k], n_neighbors=3) / -(share * np.log(share)).sum()
        np.testing.assert_allclose(score.matrix[k], expected, atol=1e-4)
    assert score.value == pytest.approx(infomec(Z, Y).value, abs=0.05)


def test_published_explicitness(problem) -> None:
    Z, Y = problem
    score = infomec(Z, Y, cv=None, clip=0)
    X = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    for k in Y:
        model = LogisticRegression(C=1e10, class_weight="balanced", max_iter=1000, tol=1e-6).fit(X, Y[k])
        weights = (1 / Y[k].value_counts())[Y[k]].to_numpy()
        loss = log_loss(Y[k], model.predict_proba(X), sample_weight=weights)
        assert score.details["infoe"][k] == pytest.approx(1 - loss / np.log(Y[k].nunique()), abs=1e-5)
    assert infomec(Z, Y).summary["infoe"] == pytest.approx(score.summary["infoe"], abs=0.03)


def test_explicitness_of_separable_classes(problem) -> None:
    Y = problem[1]
    assert infomec(Y, Y, cv=None).summary["infoe"] > 0.999
    assert infomec(Y, Y).summary["infoe"] > 0.9


def test_noise_explains_nothing_on_cells_held_out() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(200, 30)), rng.integers(0, 3, 200)
    assert infomec(Z, y, n_bins=4, cv=None).summary["infoe"] > 0.1
    assert infomec(Z, y, n_bins=4).summary["infoe"] < 0.0


@pytest.mark.filterwarnings("ignore:Too few cells")
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_modular_whatever_the_levels(seed) -> None:
    rng = np.random.default_rng(seed)
    Y = pd.DataFrame({"type": rng.integers(0, 25, 1000).astype(str), "amount": rng.random(1000)})
    score = infomec(rng.normal(size=(1000, 10)), Y)
    assert (score.summary["infom"], score.summary["infoc"]) == (0.0, 0.0)


def test_continuous_factor() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(600)
    Z = np.column_stack([y + 0.3 * rng.normal(size=600), rng.normal(size=600)])
    ranks = np.argsort(np.argsort(y))
    expected = LinearRegression().fit(Z, ranks).score(Z, ranks)
    assert infomec(Z, y, n_bins=10, cv=None, clip=0).summary["infoe"] == pytest.approx(expected)
    assert infomec(Z, y, n_bins=10).summary["infoe"] == pytest.approx(expected, abs=0.02)


def test_threshold_prunes(problem) -> None:
    Z, Y = problem
    score = infomec(Z * [1.0, 1.0, 0.04], Y)
    assert score.per_dimension["active"].tolist() == [True, True, False]
    assert infomec(Z * [1.0, 0.1, 0.04], Y, threshold=1 / 8).per_dimension["active"].sum() == 1
    assert infomec(Z * [1.0, 0.1, 0.04], Y, threshold=1 / 8).details["infoc"].tolist() == [1.0, 0.0]


def test_neighbours_of_cells_with_the_same_latent_do_not_depend_on_their_order() -> None:
    rng = np.random.default_rng(0)
    Z = rng.integers(0, 4, (300, 2)).astype(float)
    y = np.where(rng.random(300) < 0.7, Z[:, 0], rng.integers(0, 4, 300)).astype(int).astype(str)
    other = rng.permutation(300)
    first, second = (infomec(Z[rows], y[rows], estimator="knn") for rows in (np.arange(300), other))
    np.testing.assert_array_equal(first.matrix, second.matrix)
