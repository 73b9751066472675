"""SAP against worked examples, brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import LinearSVC

from distaff.metrics import sap
from distaff.metrics._information import bin_values
from distaff.metrics._resampling import canonical_rows, stratified_folds

# fmt: off
Z12 = np.array([
    [1.00246, 0.647207, -1.366524, 3.0], [0.451724, -0.946305, 0.209429, 3.0], [0.090658, -0.813228, -0.530559, 3.0],
    [1.120287, 1.393076, -0.368789, 3.0], [0.015587, -0.304648, -1.741514, 3.0], [1.979684, 0.375896, -0.890544, 3.0],
    [1.210828, -0.312367, -0.020494, 3.0], [0.941496, 0.907795, 0.888453, 3.0], [-1.688429, -0.261582, 0.990027, 3.0],
    [-2.802445, -1.084604, -0.080326, 3.0], [-2.68347, -0.96341, -0.189288, 3.0], [-1.534893, 0.188946, -0.830679, 3.0],
])
Y12 = np.array([
    [0.00123, 0.298746], [-0.274138, -0.890592], [-0.454671, -0.991647], [0.060144, 1.340215], [-0.492207, -0.620475],
    [0.489842, 0.356887], [0.105414, -0.930468], [-0.029252, 0.695303], [-1.344215, -0.457616], [-1.901223, -1.289538],
    [-1.841735, -0.235091], [-1.267446, 0.271264],
])
# fmt: on


class TestContinuous:
    def test_published_example(self) -> None:
        score = sap(Z12, Y12, correlation="pearson")
        expected = [
            [0.9999999999998472, 0.16381552683292502],
            [0.35248056262056215, 0.8422783582325574],
            [0.042538347271046495, 0.004775630529516429],
            [0.0, 0.0],
        ]
        np.testing.assert_allclose(score.matrix, expected, atol=1e-9)
        assert score.value == pytest.approx(0.6629911343894588, abs=1e-9)

    def test_ranks(self) -> None:
        score = sap(Z12, Y12)
        expected = [[spearmanr(Z12[:, d], Y12[:, k])[0] ** 2 for k in range(2)] for d in range(3)]
        np.testing.assert_allclose(score.matrix[:3], expected)
        assert (score.matrix.loc[3] == 0).all()

    def test_single_dimension_against_none(self) -> None:
        score = sap(Z12[:, :1], Y12)
        np.testing.assert_allclose(score.per_factor, score.matrix.loc[0])


class TestThresholds:
    @pytest.mark.parametrize("accuracy", ["balanced", "plain"])
    @pytest.mark.parametrize("shares", [(0.4, 0.3, 0.3), (0.9, 0.08, 0.02), (0.5, 0.5)])
    def test_brute_force(self, accuracy, shares) -> None:
        rng = np.random.default_rng(0)
        y = rng.choice(len(shares), 150, p=shares)
        Z = rng.normal(size=(150, 3)) + y[:, None] * [2.0, 0.5, 0.0]
        score = sap(Z, pd.Series(y, name="y"), n_bins=8, accuracy=accuracy)
        sizes = np.bincount(y)
        chance = 1 / len(shares) if accuracy == "balanced" else sizes.max() / 150
        for d in range(3):
            bins = bin_values(Z[:, d], 8, "quantile")
            right = np.zeros(150)
            for i in range(150):
                others = np.arange(150) != i
                votes = np.bincount(y[others & (bins == bins[i])], minlength=len(sizes)).astype(float)
                if accuracy == "balanced":
                    votes /= np.bincount(y[others], minlength=len(sizes))
                right[i] = votes[y[i]] > np.delete(votes, y[i]).max() + 1e-12
            by_class = [right[y == c].mean() for c in range(len(sizes))]
            expected = np.mean(by_class) if accuracy == "balanced" else right.mean()
            assert score.matrix["y"][d] == pytest.approx(max(expected, chance))
        assert score.details["chance"]["y"] == pytest.approx(chance)

    def test_noise_gets_chance_even_where_classes_are_rare(self) -> None:
        rng = np.random.default_rng(0)
        y = rng.permutation(np.repeat([0, 1, 2], [1800, 190, 10]))
        score = sap(rng.normal(size=(2000, 20)), y)
        assert score.value < 0.1
        assert score.matrix["y1"].mean() == pytest.approx(1 / 3, abs=0.03)

    def test_a_class_in_the_middle_is_found(self) -> None:
        y = np.repeat([0, 1, 2], 200)
        Z = np.random.default_rng(0).normal(size=(600, 1)) * 0.1 + y[:, None]
        assert sap(Z, y).matrix["y1"][0] > 0.95
        assert sap(Z, y, classifier="svm").matrix["y1"][0] < 0.9  # one line a class


def test_machines_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    Z = rng.normal(size=(400, 2)) + y[:, None] * [1.5, 0.0]
    rows = canonical_rows(Z)
    train = stratified_folds(y[rows], 2, 5) == 0
    for accuracy in ("balanced", "plain"):
        score = sap(Z, y, classifier="svm", accuracy=accuracy, random_state=5)
        z, t = Z[rows][:, :1], y[rows]
        model = LinearSVC(C=0.01, class_weight="balanced", dual=True, max_iter=100_000, random_state=0)
        predicted = model.fit(z[train], t[train]).predict(z[~train])
        if accuracy == "balanced":
            expected = balanced_accuracy_score(t[~train], predicted)
        else:
            expected = max((predicted == t[~train]).mean(), np.bincount(y).max() / 400)
        assert score.matrix["y1"][0] == pytest.approx(expected, abs=0.01)


def test_plain_accuracy_misleads_where_one_class_is_large() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(2000) < 100).astype(int)
    Z = rng.normal(size=(2000, 2))
    Z[:, 0] += 2 * y
    assert sap(Z, y, accuracy="plain").value < 0.03
    assert sap(Z, y).value > 0.2
