"""Enrichment tests against regressions and permutations one by one, and their calibration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from distaff.tl._enrichment_tests import linear_test, moment_test, slopes


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(60, 4)) * (rng.random((60, 4)) < 0.3)
    weights[:, 3] = rng.random(60) < 0.2
    return rng.normal(size=(60, 3)), sparse.csc_matrix(weights)


def test_linear_test_is_the_regression_of_each_pair(problem) -> None:
    profiles, weights = problem
    slope, (t, p) = slopes(*problem), linear_test(*problem)
    for i, profile in enumerate(profiles.T):
        for j, set_weights in enumerate(weights.toarray().T):
            expected = stats.linregress(set_weights, profile)
            assert slope[i, j] == pytest.approx(expected.slope)
            assert t[i, j] == pytest.approx(expected.slope / expected.stderr)
            assert p[i, j] == pytest.approx(expected.pvalue)


def test_moment_test_is_close_to_permutations(problem) -> None:
    rng = np.random.default_rng(1)
    profiles, weights = problem
    profiles = np.exp(profiles).round(1)  # skew
    z, p = moment_test(profiles, weights)
    profile = profiles[:, 0]
    moved = profile[profile != np.median(profile)]
    cut = profile.clip(*np.percentile(moved, (5, 95)))
    permuted = np.array([rng.permutation(cut) for _ in range(20000)]) @ weights
    observed = cut @ weights
    np.testing.assert_allclose(z[0], (observed - permuted.mean(0)) / permuted.std(0), atol=0.05)
    share = np.minimum((permuted >= observed).mean(0), (permuted <= observed).mean(0))
    np.testing.assert_allclose(p[0], np.minimum(2 * share, 1), atol=0.03)


def test_few_loadings_with_both_signs_are_no_normal() -> None:
    """A set with one of ten loadings is no wonder: the second largest of a sign is in 1 % of all sets."""
    profile = np.zeros((1000, 1))
    profile[:10, 0] = [1.0, 2.0, 3.0, 4.0, 5.0, -1.0, -2.0, -3.0, -4.0, -5.0]
    sets = np.zeros((1000, 2))
    sets[[3, 100, 200, 300, 400], 0] = 1
    sets[:10, 1] = np.sign(profile[:10, 0])
    z, p = moment_test(profile, sparse.csc_matrix(sets))
    assert p[0, 0] == pytest.approx(2 * 0.01, rel=0.3)
    assert stats.norm.sf(z[0, 0]) < 1e-5
    assert p[0, 1] < 1e-4


@pytest.fixture
def few() -> tuple[np.ndarray, np.ndarray]:
    """Profile with loadings of a tenth of the genes, and sets of 10 genes with 0, 1, ..., 10 of these."""
    rng = np.random.default_rng(0)
    profile, sets = np.zeros((2000, 1)), np.zeros((2000, 11))
    profile[:200, 0] = rng.gamma(2, size=200)
    for n in range(11):
        sets[rng.choice(200, n, replace=False), n] = 1
        sets[rng.choice(np.arange(200, 2000), 10 - n, replace=False), n] = 1
    return profile, sets


@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_loadings_are_tested_by_draws(few, weighted) -> None:
    rng = np.random.default_rng(1)
    profile, sets = few
    sets = sets * np.linspace(1, 2, 2000)[:, None] if weighted else sets
    _, p = moment_test(profile, sparse.csc_matrix(sets))
    cut = np.minimum(profile[:, 0], np.percentile(profile[profile != 0], 95))
    permuted = np.array([rng.permutation(cut) for _ in range(20000)]) @ sets
    larger = (permuted >= cut @ sets - 1e-9).mean(axis=0)
    smaller = (permuted <= cut @ sets + 1e-9).mean(axis=0)
    expected = np.minimum(2 * np.minimum(larger, smaller), 1)
    usual = expected > 0.01
    assert usual.sum() > 3
    np.testing.assert_allclose(p[0, usual], expected[usual], rtol=0.2)
    assert (p[0, ~usual] < 0.015).all()
    np.testing.assert_array_equal(moment_test(profile, sparse.csc_matrix(sets))[1], p)


def test_p_values_of_sets_of_one_size_fall_with_the_statistic(few) -> None:
    profile, sets = few
    z, p = moment_test(profile, sparse.csc_matrix(sets))
    above = np.argsort(z[0])[z[0, np.argsort(z[0])] > 0]
    assert (np.diff(p[0, above]) <= 0).all()


@pytest.mark.parametrize(("n_loaded", "size", "n_shared"), [(200, 25, 12), (20, 300, 8)])
def test_sums_that_no_draw_reaches_are_below_a_bound(n_loaded, size, n_shared) -> None:
    """With loadings of 0 and 1 the sum has a known distribution."""
    profile, sets = np.zeros((8000, 1)), np.zeros((8000, 1))
    profile[:n_loaded] = 1
    sets[n_loaded - n_shared : n_loaded - n_shared + size] = 1
    exact = 2 * stats.hypergeom.sf(n_shared - 1, 8000, n_loaded, size)
    assert exact < 1e-5
    assert exact < moment_test(profile, sparse.csc_matrix(sets))[1][0, 0] < 30 * exact
    sets *= np.linspace(1, 2, 8000)[:, None]  # weights that differ: Markov's bound
    assert exact < moment_test(profile, sparse.csc_matrix(sets))[1][0, 0] < 1e-3


@pytest.mark.parametrize("test", [linear_test, moment_test])
def test_a_constant_in_the_loadings_changes_nothing(problem, test) -> None:
    profiles, weights = problem
    for moved, found in zip(test(profiles + 3, weights), test(profiles, weights), strict=True):
        np.testing.assert_allclose(moved, found, atol=1e-10)


@pytest.mark.parametrize("test", [linear_test, moment_test])
def test_without_variation_there_is_no_test(problem, test) -> None:
    profiles, weights = problem
    profiles[:, 1] = 0.1
    weights = weights.tolil()
    weights[:, 2] = 1
    statistic, p = test(profiles, weights.tocsc())
    missing = np.zeros((3, 4), dtype=bool)
    missing[1], missing[:, 2] = True, True
    np.testing.assert_array_equal(np.isnan(p), missing)
    np.testing.assert_array_equal(np.isnan(statistic), missing)


def draw(kind, rng, shape):
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "heavy":
        return rng.standard_t(3, size=shape)
    if kind == "signed and sparse":
        return rng.normal(size=shape) * (rng.random(shape) < 0.01)
    return rng.gamma(0.5, size=shape) * (rng.random(shape) < 0.1)


def false_discoveries(test, kind, n=60) -> float:
    """Share of tables of 10 factors and 60 random sets in which a set is found."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(n):
        sets = np.zeros((1000, 60))
        for j, size in enumerate(np.repeat([5, 12, 30, 100], 15)):
            sets[rng.choice(1000, size, replace=False), j] = 1
        _, p = test(draw(kind, rng, (1000, 10)), sparse.csc_matrix(sets))
        found += (stats.false_discovery_control(p.ravel()) < 0.05).any()
    return found / n


@pytest.mark.parametrize("kind", ["normal", "heavy", "sparse", "signed and sparse"])
def test_moments_are_calibrated(kind) -> None:
    assert false_discoveries(moment_test, kind) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


def test_the_linear_test_needs_light_tails() -> None:
    assert false_discoveries(linear_test, "sparse", 20) > 0.5
