"""The beta-VAE score on latents whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import beta_vae_score
from distaff.metrics._resampling import LevelSampler
from distaff.metrics.beta_vae_score import _differences, _mean_difference

FEW = {"n_train": 900, "n_test": 450}


@pytest.fixture(scope="module")
def factors() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, size=(2000, 3))


def test_factors_themselves(factors) -> None:
    score = beta_vae_score(factors, factors, **FEW)
    assert score.value == 1.0
    np.testing.assert_allclose(score.matrix, np.eye(3), atol=0.02)
    assert score.summary["chance"] == pytest.approx(1 / 3)


def test_noise_is_at_chance(factors) -> None:
    score = beta_vae_score(np.random.default_rng(1).normal(size=(2000, 4)), factors, **FEW)
    assert score.value == pytest.approx(1 / 3, abs=0.06)
    assert (score.matrix < 0.02).all(axis=None)


def test_rotated_latent_can_reach_one(factors) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    assert beta_vae_score(factors @ turn, factors, **FEW).value > 0.95


def test_scale_matters_to_the_published_form(factors) -> None:
    tiny = 1e-5 * factors
    assert beta_vae_score(tiny, factors, **FEW).value == 1.0
    assert beta_vae_score(tiny, factors, standardised=False, **FEW).value < 0.9
    assert beta_vae_score(factors, factors, standardised=False, **FEW).value == 1.0


def test_differences_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    assert _mean_difference(X) == pytest.approx(np.abs(X[:, None] - X[None]).mean(axis=(0, 1)))
    y = rng.integers(0, 4, 50)
    points = _differences(X, LevelSampler(y), 8, 20_000, 0)
    expected = [np.abs(X[y == level][:, None] - X[y == level][None]).mean(axis=(0, 1)) for level in range(4)]
    shares = np.bincount(y) / 50
    np.testing.assert_allclose(points.mean(axis=0), shares @ np.array(expected), atol=0.01)


def test_continuous_factor() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(2000, 3))
    Y = pd.DataFrame({"u": np.exp(Z[:, 0]), "v": Z[:, 1], "w": Z[:, 2] > 0})
    assert beta_vae_score(Z, Y, **FEW).value > 0.98
