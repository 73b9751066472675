"""Modularity against worked examples, brute force, and what noise does to it."""

from __future__ import annotations

import numpy as np
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
    np.testing.assert_allclose(score.per_dimension["score"], expected)
    assert score.summary["all_dimensions"] == pytest.approx(np.mean(expected))
    assert score.per_dimension["weight"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert score.value == pytest.approx(expected[0])


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
