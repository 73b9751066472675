"""Tests of two groups against scipy's, column by column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distaff.tl._group_test import Contrast, compare, probability_larger


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 4)), rng.normal(0.5, 3, size=(12, 4))


def check(found, expected) -> None:
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.p_value, expected.pvalue)
    np.testing.assert_allclose(found.lower, interval.low)
    np.testing.assert_allclose(found.upper, interval.high)


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(10, 4)), rng.normal(0.5, 3, size=(25, 4))
    check(compare(Contrast(*sides, n_pairs=0)), stats.ttest_ind(*sides, equal_var=False))


@pytest.mark.parametrize("n", [2, 9])
def test_few_replicates_must_pass_students_too(n) -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(n, 50)), rng.normal(0.5, 1, size=(12, 50))
    found = compare(Contrast(*sides, n_pairs=0))
    tests = [stats.ttest_ind(*sides, equal_var=equal) for equal in (False, True)]
    intervals = [test.confidence_interval(0.95) for test in tests]
    np.testing.assert_allclose(found.p_value, np.maximum(tests[0].pvalue, tests[1].pvalue))
    np.testing.assert_allclose(found.lower, np.minimum(intervals[0].low, intervals[1].low))
    np.testing.assert_allclose(found.upper, np.maximum(intervals[0].high, intervals[1].high))
    assert 0 < (tests[0].pvalue < tests[1].pvalue).mean() < 1  # either may be the larger


@pytest.mark.parametrize(("n_group", "n_reference"), [(2, 8), (8, 2), (3, 12), (2, 2), (5, 5), (9, 30)])
def test_welch_is_calibrated_with_few_replicates(n_group, n_reference) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(n_group, 20_000)), rng.normal(size=(n_reference, 20_000))
    assert (compare(Contrast(a, b, n_pairs=0)).p_value < 0.05).mean() <= 0.05 + 0.004


def test_paired_is_scipys(sides) -> None:
    a, b = sides[0], sides[1][:7]
    check(compare(Contrast(a, b, n_pairs=7)), stats.ttest_rel(a, b))


def test_probability_is_that_of_all_pairs(sides) -> None:
    a, b = (side.round(0) for side in sides)  # ties
    pairs = a[:, None] - b[None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=(0, 1))
    np.testing.assert_allclose(probability_larger(a, b), expected)


@pytest.mark.parametrize("n_pairs", [0, 30, 10])
def test_no_variation_is_no_test(n_pairs) -> None:
    a, b = np.full((30, 2), 0.1), np.full((30, 2), [0.1, 0.7])
    found = compare(Contrast(a, b, n_pairs))
    assert np.isnan(found.p_value).all()
    assert np.isnan(found.lower).all()
    assert found.difference == pytest.approx([0, -0.6])


def test_replicates_are_means_of_samples() -> None:
    Z = np.arange(8.0)[:, None]
    inside = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    samples = pd.Series(["b", "a", "b", "a", "b", "b", "a", "a"])
    contrast = Contrast.of(Z, inside, ~inside, samples)
    assert contrast.group.ravel().tolist() == [1, 1]  # a, b
    assert contrast.reference.ravel().tolist() == [(3 + 6 + 7) / 3, 4.5]
    assert (contrast.n_pairs, contrast.test) == (2, "paired")
    contrast = Contrast.of(Z, inside, ~inside, samples, min_cells=2)
    assert contrast.group.ravel().tolist() == [1]  # of b: a has one cell there
    assert (len(contrast.reference), contrast.n_pairs, contrast.test) == (2, 1, "none")
    samples[7] = "c"
    contrast = Contrast.of(Z, inside, ~inside, samples)
    assert contrast.reference.ravel().tolist() == [(3 + 6) / 2, 4.5, 7]
    assert (contrast.n_pairs, contrast.test) == (2, "paired")


@pytest.mark.parametrize(
    ("n_group", "n_reference", "n_pairs", "test"),
    [
        (5, 5, 5, "paired"),
        (5, 7, 5, "paired"),
        (5, 7, 4, "paired"),  # one sample alone has no variance
        (5, 7, 3, "mixed"),
        (5, 7, 1, "welch"),
        (2, 2, 1, "welch"),
        (1, 5, 1, "none"),
        (1, 5, 0, "none"),
    ],
)
def test_which_test(n_group, n_reference, n_pairs, test) -> None:
    assert Contrast(np.zeros((n_group, 1)), np.zeros((n_reference, 1)), n_pairs).test == test


@pytest.mark.parametrize("n", [8, 30])
def test_mixed_by_hand(n) -> None:
    """Weighted mean of two independent differences, as two tests of scipy give them."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(n, 6)), rng.normal(0.5, 2, size=(n + 5, 6))
    found = compare(Contrast(a, b, n_pairs=3))
    weights = np.array([3 / 2, (n - 3) * (n + 2) / (2 * n - 1)])
    weights /= weights.sum()
    differences = [(a[:3] - b[:3]).mean(axis=0), a[3:].mean(axis=0) - b[3:].mean(axis=0)]
    p_values, margins = [], []
    for equal in (False, True) if n - 3 < 10 else (False,):
        tests = stats.ttest_rel(a[:3], b[:3]), stats.ttest_ind(a[3:], b[3:], equal_var=equal)
        parts = [(w * d / t.statistic) ** 2 for w, d, t in zip(weights, differences, tests, strict=True)]
        df = sum(parts) ** 2 / sum(part**2 / t.df for part, t in zip(parts, tests, strict=True))
        statistic = weights @ np.array(differences) / np.sqrt(sum(parts))
        p_values.append(2 * stats.t.sf(np.abs(statistic), df))
        margins.append(stats.t.ppf(0.975, df) * np.sqrt(sum(parts)))
    np.testing.assert_allclose(found.p_value, np.max(p_values, axis=0))
    np.testing.assert_allclose(found.upper - found.difference, np.max(margins, axis=0))


@pytest.mark.parametrize("shared", [0.0, 3.0])
@pytest.mark.parametrize(("n_pairs", "n_group", "n_reference"), [(2, 4, 5), (3, 5, 6), (4, 12, 6), (6, 7, 6)])
def test_mixed_is_calibrated(n_pairs, n_group, n_reference, shared) -> None:
    """Many factors are many data sets: the rate of p < 0.05 without a difference."""
    rng = np.random.default_rng(0)
    n = 20_000
    a, b = rng.normal(size=(n_group, n)), rng.normal(size=(n_reference, n))
    donor = shared * rng.normal(size=(n_pairs, n))
    a[:n_pairs] += donor
    b[:n_pairs] += donor
    a[n_pairs:] += shared * rng.normal(size=(n_group - n_pairs, n))
    b[n_pairs:] += shared * rng.normal(size=(n_reference - n_pairs, n))
    found = compare(Contrast(a, b, n_pairs))
    rate = (found.p_value < 0.05).mean()
    assert 0.02 < rate <= 0.05 + 0.004
    assert ((found.lower < 0) & (found.upper > 0)).mean() == pytest.approx(1 - rate)


def test_mixed_finds_more_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 1, size=(12, 2000)), rng.normal(size=(14, 2000))
    mixed = (compare(Contrast(a, b, n_pairs=6)).p_value < 0.05).mean()
    pairs = (compare(Contrast(a[:6], b[:6], n_pairs=6)).p_value < 0.05).mean()
    others = (compare(Contrast(a[6:], b[6:], n_pairs=0)).p_value < 0.05).mean()
    assert mixed > max(pairs, others) + 0.1
