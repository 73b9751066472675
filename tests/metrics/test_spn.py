"""spn against worked examples, brute force over orders and an independent form of the published rule."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import spn


def published(z: np.ndarray, member: np.ndarray) -> float:
    """One class, by walking along the cells in the order of ``z``."""
    walk = [bool(member[i]) for i in sorted(range(len(z)), key=lambda i: z[i])]
    pairs = sum(a and b for a, b in pairwise(walk))
    share = sum(walk) / len(walk)
    return max(pairs / (sum(walk) - 1) - share, 0) / (1 - share)


def test_small_example() -> None:
    z = np.array([0.1, 0.2, 0.3, 0.9, 1.0, 1.9, 0.25, 1.95, 2.1, 1.2])[:, None]
    score = spn(z, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(score.per_factor, [0.28571428571428575, 0.0, 0.28571428571428575], atol=1e-12)
    assert score.details["n_class"].tolist() == [3, 4, 3]
    assert score.best_dimension.tolist() == [0, None, 0]


@pytest.mark.parametrize("ties", ["expected", "input"])
def test_equals_the_published_rule(ties) -> None:
    rng = np.random.default_rng(0)
    y = np.array(["B", "NK", "T"])[rng.integers(0, 3, 300)]
    Z = rng.normal(size=(300, 4)) + 3 * (y == "T")[:, None] * [0, 1, 0, 2]
    expected = [[published(z, y == label) for label in ("B", "NK", "T")] for z in Z.T]
    np.testing.assert_allclose(spn(Z, y, ties=ties).matrix, expected, atol=1e-12)


def test_input_order_of_ties_is_the_published_one() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.integers(0, 4, (200, 2)).astype(float), rng.random(200) < 0.4
    expected = [published(z, y) for z in Z.T]
    np.testing.assert_allclose(spn(Z, y, ties="input").matrix["y1"], expected, atol=1e-12)


def test_ties_are_the_mean_over_all_orders() -> None:
    z, y = np.array([0, 0, 0, 1, 1, 2, 3.0]), np.array([1, 0, 1, 1, 0, 1, 0], dtype=bool)
    pairs = [
        sum(y[a] and y[b] for a, b in pairwise(order))
        for order in permutations(range(7))
        if (np.diff(z[list(order)]) >= 0).all()
    ]
    share = 4 / 7
    expected = (np.mean(pairs) / 3 - share) / (1 - share)
    assert expected < 0
    assert spn(z[:, None], y).value == 0.0
    y = np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool)
    pairs = [
        sum(y[a] and y[b] for a, b in pairwise(order))
        for order in permutations(range(7))
        if (np.diff(z[list(order)]) >= 0).all()
    ]
    assert spn(z[:, None], y).value == pytest.approx((np.mean(pairs) / 3 - share) / (1 - share), abs=1e-12)


def test_ties_cannot_win() -> None:
    # cells sorted by class: the published rule gives a constant or nearly constant dimension the best score
    y = np.repeat([0, 1], 500)
    Z = np.zeros((1000, 2))
    Z[::50, 1] = 1.0
    assert published(Z[:, 0], y == 1) == 1.0
    assert spn(Z, y, ties="input").matrix.loc[1, "y1"] > 0.9
    np.testing.assert_allclose(spn(Z, y).matrix["y1"], 0.0, atol=0.002)


def test_order_of_tied_cells_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["B", "NK", "T"], 100)
    Z = rng.integers(0, 5, (300, 3)) + 2.0 * (y == "T")[:, None]
    score = spn(Z, y)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(300)
        pd.testing.assert_frame_equal(spn(Z[order], y[order]).matrix, score.matrix)
    assert (spn(Z, y, ties="input").matrix - score.matrix).abs().max(axis=None) > 0.02


def test_random_order_scores_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    score = spn(rng.normal(size=(2000, 50)), np.arange(2000) % 4)
    assert score.matrix.to_numpy().mean() < 0.02
    assert spn(np.arange(2000.0)[:, None], np.arange(2000) >= 700).value == pytest.approx(1.0)


def test_class_in_one_cell_is_undefined() -> None:
    Z = np.arange(10.0)[:, None]
    with pytest.warns(UserWarning, match=r"NaN\) for 'y1: c'"):
        score = spn(Z, list("aaaaabbbbc"))
    assert score.per_factor.iloc[:2].tolist() == [1.0, 1.0]
    assert score.value == 1.0
    with pytest.warns(UserWarning, match="'y1'"):
        assert np.isnan(spn(Z, list("aaaaaaaaab")).value)


def test_of_two_classes_the_later_is_scored() -> None:
    y = pd.Series(["a", "b", "b", "a", "b", "b", "a", "b"])
    Z = np.arange(8.0)[:, None]
    assert spn(Z, y).value == pytest.approx(published(Z[:, 0], y == "b"))
    both = spn(Z, pd.get_dummies(y))
    assert both.per_factor["a"] == pytest.approx(published(Z[:, 0], y == "a"))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="classes only, got continuous 'y1'.*smi or max_spearman"):
        spn(np.arange(10.0)[:, None], np.arange(10.0))
    with pytest.raises(ValueError, match="ties must be one of 'expected', 'input', got 'random'"):
        spn(np.arange(10.0)[:, None], np.arange(10) % 2, ties="random")
