"""IRS against a crossed design worked by hand, and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from distaff.metrics import irs

Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]])
Z = np.array([[0.0, 0.0, 2.0], [0, 1.0, 2], [1, 0.5, 2], [1, 1.5, 2], [2, 1.0, 2], [2, 2.0, 2]])


def test_crossed_design() -> None:
    score = irs(Z, Y, diff_quantile=1.0, clip=0)
    np.testing.assert_allclose(score.matrix, [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]], atol=1e-12)
    assert score.value == pytest.approx(0.75, abs=1e-12)
    assert score.per_dimension["weight"].tolist() == [1.0, 1.0, 0.0]
    assert score.details["n_levels"].tolist() == [3, 2]


def test_constant() -> None:
    assert irs(np.ones((6, 2)), Y).value == 0.0


def test_brute_force() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, size=(300, 2))
    z = rng.normal(size=(300, 3)) + y @ rng.normal(size=(2, 3))
    score = irs(z, y, diff_quantile=0.9, clip=0)
    largest = np.abs(z - z.mean(axis=0)).max(axis=0)
    best = []
    for d in range(3):
        row = []
        for k in range(2):
            parts = []
            for level in range(4):
                x = z[y[:, k] == level, d]
                parts.append(np.percentile(abs(x - x.mean()), 90))
            row.append(max(0.0, 1 - np.mean(parts) / largest[d]))
        np.testing.assert_allclose(score.matrix.loc[d], row)
        best.append(max(row))
    assert score.value == pytest.approx(np.average(best, weights=largest))


def test_published_form_follows_one_cell() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 1))
    y = rng.integers(0, 2, 1000)
    z[0] = 1e6
    assert irs(z, y, clip=0).value > 0.9  # noise
    assert irs(z, y).value < 0.35


def test_levels_of_one_cell_are_left_out() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(300, 1)), np.repeat([0, 1], 150)
    alone = irs(z, y, clip=0)
    y[:20] = np.arange(2, 22)
    score = irs(z, y, clip=0)
    assert score.details["n_levels"]["y1"] == 2
    assert score.value == pytest.approx(alone.value, abs=0.1)


def test_continuous_factor() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(3000)
    score = irs(np.column_stack([y, rng.random(3000)]), y)
    assert score.matrix["y1"][0] > 0.85
    assert score.matrix["y1"][1] < 0.05
    assert score.details["n_levels"]["y1"] == 10
