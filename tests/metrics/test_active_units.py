"""active_units against a worked example."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import active_units

MU = np.array([[0.0, 1.0, 0.05], [0.0, -1.0, -0.05], [0.3, 0.5, 0.05], [-0.3, -0.5, -0.05]])


def test_small_example() -> None:
    result = active_units(MU)
    np.testing.assert_allclose(result.variance, [0.06, 0.8333333333333334, 0.003333333333333334], atol=1e-12)
    assert result.value == int(result) == 2
    assert result.active.tolist() == [True, True, False]


def test_threshold_and_names() -> None:
    result = active_units(pd.DataFrame(MU, columns=["u", "v", "w"]), threshold=0.003)
    assert result.value == 3
    assert list(result.variance.index) == ["u", "v", "w"]


@pytest.mark.parametrize("mu", [MU[:1], np.full((3, 2), np.nan)])
def test_bad_input(mu) -> None:
    with pytest.raises(ValueError, match="must"):
        active_units(mu)


def test_bad_threshold() -> None:
    with pytest.raises(ValueError, match="threshold must be >= 0"):
        active_units(MU, threshold=-1)


def test_simplex_counts_in_shares() -> None:
    x = np.random.default_rng(0).normal(size=(2000, 20)) * np.where(np.arange(20) < 15, 1.0, 0.01)
    x[:, 15:] -= 9  # shares near zero, which do not vary
    shares = np.exp(x)
    shares /= shares.sum(axis=1, keepdims=True)
    result = active_units(shares.astype(np.float32))
    assert result.threshold == pytest.approx(0.01 / 400)
    assert result.active.tolist() == [True] * 15 + [False] * 5
    assert active_units(shares, simplex=False).threshold == 0.01
    assert active_units(shares, simplex=False).value < 15
    assert active_units(shares, simplex=True, threshold=0.04).threshold == pytest.approx(1e-4)


def test_no_simplex() -> None:
    assert active_units(np.abs(MU)).threshold == 0.01
    with pytest.raises(ValueError, match="add up to 1, got sums from .* Pass the softmax"):
        active_units(MU, simplex=True)
