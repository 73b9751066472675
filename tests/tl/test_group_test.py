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


def test_welch_is_scipys(sides) -> None:
    found = compare(Contrast(*sides, paired=False))
    check(found, stats.ttest_ind(*sides, equal_var=False))


def test_paired_is_scipys(sides) -> None:
    a, b = sides[0], sides[1][:7]
    check(compare(Contrast(a, b, paired=True)), stats.ttest_rel(a, b))


def test_probability_is_that_of_all_pairs(sides) -> None:
    a, b = (side.round(0) for side in sides)  # ties
    pairs = a[:, None] - b[None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=(0, 1))
    np.testing.assert_allclose(probability_larger(a, b), expected)


@pytest.mark.parametrize("paired", [False, True])
def test_no_variation_is_no_test(paired) -> None:
    a, b = np.full((30, 2), 0.1), np.full((30, 2), [0.1, 0.7])
    found = compare(Contrast(a, b, paired=paired))
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
    assert contrast.paired
    assert contrast.testable
    samples[7] = "c"
    assert not Contrast.of(Z, inside, ~inside, samples).paired
