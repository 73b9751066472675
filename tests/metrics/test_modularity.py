"""Modularity against worked examples, brute force, and what noise does to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

from distaff.metrics import modularity
from distaff.metrics.modularity import _modularity

FIVE = 5.0 * np.eye(5)


@pytest.mark.parametrize(
    ("nats", "published"),
    [
        (FIVE, 1.0),
        (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 2 / 3),
        (np.zeros((10, 10)), 0.0),
        (np.vstack([FIVE, FIVE]), 1.0),
        (FIVE[:2], 1.0),
        (np.hstack([FIVE, FIVE]), 0.888888888888889),
        (np.array([[0.8, 0.1], [0.1, 0.6], [0.1, 0.3]]), 0.9484953703703703),
        (np.array([[0.3], [0.0]]), 0.5),
    ],
)
def test_formula(nats, published) -> None:
    assert _modularity(nats).mean() == pytest.approx(published, abs=1e-9)


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
@pytest.mark.filterwarnings("ignore:Too few cells")
def test_brute_force(strategy) -> None:
    rng = np.random.default_rng(0)
    Z, Y = rng.integers(0, 5, size=(200, 4)), rng.integers(0, 3, size=(200, 3))
    Z[:, 0] += Y[:, 0]
    expected = []
    for z in Z.T:
        nats = sorted(mutual_info_score(z, y) for y in Y.T)
        expected.append(1 - (nats[0] ** 2 + nats[1] ** 2) / (2 * nats[2] ** 2))
    score = modularity(Z, Y, strategy=strategy)
    assert score.summary["all_dimensions"] == pytest.approx(np.mean(expected))
    alone = [modularity(Z[:, [d]], Y, strategy=strategy).summary["all_dimensions"] for d in range(4)]
    np.testing.assert_allclose(alone, expected)
    assert score.per_dimension["weight"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert score.value == score.per_dimension["score"][0] == 1.0


def test_corrected_by_hand() -> None:
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 3, size=(1000, 3))
    z = 2 * Y[:, 0] + (Y[:, 1] > 0)
    nats = [mutual_info_score(z, y) - 5 * 2 / 2000 for y in Y.T[:2]]  # 6 values of z, 3 of y
    score = modularity(z[:, None], Y)
    np.testing.assert_allclose(score.matrix, [[*nats, 0.0]])
    assert score.value == pytest.approx(1 - nats[1] ** 2 / (2 * nats[0] ** 2))


@pytest.mark.parametrize("many", ["types", "amount"])
def test_factors_with_many_levels_do_not_win_by_chance(many) -> None:
    rng = np.random.default_rng(0)
    condition = np.repeat(["control", "stimulated"], 500)
    other = rng.integers(0, 25, 1000) if many == "types" else rng.random(1000)
    Z = rng.normal(size=(1000, 4))
    Z[:, 0] += 1.3 * (condition == "stimulated")
    Z[:, 1] = other + 0.1 * Z[:, 1]
    Y = pd.DataFrame({"condition": condition, "other": other.astype(str) if many == "types" else other})
    score = modularity(Z, Y)
    assert score.per_dimension["best_factor"].dropna().tolist() == ["condition", "other"]
    assert score.per_factor.tolist() == [1.0, 1.0]
    assert score.value == 1.0
    assert score.best_dimension.tolist() == [0, 1]
    assert score.summary["all_dimensions"] < 0.9


def test_mixed_dimension_stays_mixed() -> None:
    rng = np.random.default_rng(0)
    Y = pd.DataFrame({"a": rng.integers(0, 2, 3000), "b": rng.integers(0, 25, 3000).astype(str)})
    both = Y["a"] + Y["b"].astype(int) / 24 + 0.1 * rng.normal(size=3000)
    score = modularity(both.to_numpy()[:, None], Y)
    assert score.matrix.to_numpy().min() > 0.1
    assert score.value < 0.9


def test_dead_and_noisy_dimensions_do_not_count() -> None:
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 4, size=(2000, 3))
    pure = np.column_stack([Y, np.zeros(2000)])
    assert modularity(pure, Y).value > 0.999
    assert modularity(pure, Y).summary["all_dimensions"] == pytest.approx(0.75, abs=0.001)
    score = modularity(np.column_stack([Y, rng.normal(size=(2000, 6))]), Y)
    assert score.value > 0.999
    assert score.summary["all_dimensions"] < 0.95
    assert score.per_factor.min() > 0.999


def test_independent_dimensions_are_rarely_active() -> None:
    rng = np.random.default_rng(1)
    score = modularity(rng.normal(size=(2000, 200)), rng.integers(0, 6, size=(2000, 5)))
    assert score.per_dimension["weight"].sum() <= 2
