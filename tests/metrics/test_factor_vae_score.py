"""The FactorVAE score: the vote against a worked example, the rest on latents whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from distaff.metrics import factor_vae_score
from distaff.metrics.factor_vae_score import _accuracies, _majority

FEW = {"n_train": 900, "n_test": 450}


@pytest.fixture(scope="module")
def factors() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, size=(2000, 3))


def test_majority() -> None:
    votes = np.array([[50.0, 2, 0], [1, 40, 9], [30, 3, 17]]).T  # (dimensions, factors)
    majority = _majority(votes)
    assert majority.tolist() == [0, 1, 2]
    assert _accuracies(majority, votes).sum() / votes.sum() == pytest.approx(0.7039473684210527, abs=1e-12)


def test_ties_and_dimensions_without_votes() -> None:
    votes = np.array([[3.0, 3.0], [0.0, 0.0], [1.0, 2.0]])
    assert _majority(votes).tolist() == [0, -1, 1]
    assert _accuracies(_majority(votes), votes).tolist() == [3.0, 2.0]


def test_factors_themselves(factors) -> None:
    score = factor_vae_score(factors, factors, **FEW)
    assert score.value == 1.0
    np.testing.assert_array_equal(score.matrix, np.eye(3))


def test_noise(factors) -> None:
    score = factor_vae_score(np.random.default_rng(1).normal(size=(2000, 4)), factors, **FEW)
    assert score.value == pytest.approx(1 / 3, abs=0.08)


def test_one_dimension_for_two_factors(factors) -> None:
    Z = np.column_stack([factors[:, 0] + factors[:, 1], factors[:, 2]])
    score = factor_vae_score(Z, factors, **FEW)
    assert score.value == pytest.approx(2 / 3, abs=0.02)


def test_pruning(factors) -> None:
    Z = np.column_stack([factors, 1e-3 * factors[:, 0]])
    score = factor_vae_score(Z, factors, **FEW)
    assert score.summary["n_active"] == 3
    assert (score.matrix.loc[3] == 0).all()
    small = 0.01 * factors
    assert factor_vae_score(small, factors, **FEW).value == 1.0
    dead = factor_vae_score(small, factors, pruning="absolute", **FEW)
    assert dead.value == 0.0
    assert dead.summary["n_active"] == 0
    assert dead.best_dimension.isna().all()


def test_published_form_follows_one_cell(factors) -> None:
    rng = np.random.default_rng(0)
    Z = np.column_stack([factors + 0.1 * rng.normal(size=factors.shape), rng.normal(size=2000)])
    Z[0, 3] = 1e6
    published = factor_vae_score(Z, factors, pruning="absolute", clip=0, **FEW)
    assert published.value < 0.7
    assert factor_vae_score(Z, factors, **FEW).value == 1.0
