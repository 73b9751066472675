"""Draws that do not depend on the order of the cells, and scales that no single cell sets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from distaff.metrics._information import joint_counts
from distaff.metrics._resampling import (
    LevelSampler,
    canonical_columns,
    canonical_rows,
    sort_alike,
    stratified_folds,
)
from distaff.metrics._scaling import clip_extremes, standardise


def test_canonical_order() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 5))
    rows, columns = rng.permutation(300), rng.permutation(5)
    changed = (np.exp(Z) * [1, -2, 1, -1, 3])[rows][:, columns]
    ordered, again = canonical_rows(Z), canonical_rows(changed)
    np.testing.assert_array_equal(rows[again], ordered)
    np.testing.assert_array_equal(columns[canonical_columns(changed[again])], canonical_columns(Z[ordered]))
    assert not np.array_equal(ordered, np.arange(300))


def test_folds_are_stratified() -> None:
    codes = np.repeat([0, 1, 2, 3], [50, 31, 2, 1])
    folds = stratified_folds(codes, 3, 0)
    counts = np.array([np.bincount(codes[folds == fold], minlength=4) for fold in range(3)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert not np.array_equal(folds, stratified_folds(codes, 3, 1))
    np.testing.assert_array_equal(folds, stratified_folds(codes, 3, 0))


def test_sampler() -> None:
    codes = np.array([0, 2, 1, 0, 2, 2, 0, 0])
    groups = LevelSampler(codes).draw(np.random.default_rng(0), 7000, 6)
    level = codes[groups]
    assert (level == level[:, :1]).all()
    np.testing.assert_allclose(np.bincount(level[:, 0]) / 7000, [4 / 7, 0, 3 / 7], atol=0.02)
    np.testing.assert_allclose(np.bincount(groups.ravel(), minlength=8)[[0, 1]] / 42000, 1 / 7, atol=0.01)
    assert LevelSampler(np.arange(4)).empty


@pytest.mark.parametrize("n_cells", [3, 50, 5000])
def test_clip(n_cells) -> None:
    Z = np.random.default_rng(0).normal(size=(n_cells, 2))
    clipped = clip_extremes(Z, 0.001)
    k = max(1, n_cells // 1000)
    expected = np.sort(Z, axis=0)
    np.testing.assert_array_equal(clipped.max(axis=0), expected[-1 - k])
    np.testing.assert_array_equal(clipped.min(axis=0), expected[k])
    assert (clipped != Z).sum() <= 4 * k
    assert clip_extremes(Z, 0) is Z
    np.testing.assert_array_equal(clip_extremes(Z[:2], 0.001), Z[:2])


def test_standardise() -> None:
    Z = np.column_stack([np.arange(10.0), np.full(10, 0.1)])
    X = standardise(Z)
    assert X[:, 0].std() == pytest.approx(1.0)
    assert (X[:, 1] == 0).all()


def test_joint_counts_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, size=(60, 3)), rng.integers(0, 5, 60)
    counts = joint_counts(a, b)
    for d, u, v in np.ndindex(counts.shape):
        assert counts[d, u, v] == ((a[:, d] == u) & (b == v)).sum()


def test_cells_that_lie_equally_far_out_have_an_order():
    """One has in one dimension what the other has in another: neither order of cells nor of dimensions tells."""
    Z = np.random.default_rng(22).normal(size=(90, 2))
    distance = np.sort(np.abs(2 * stats.rankdata(Z, axis=0) - 91), axis=1)
    assert len(np.unique(distance, axis=0)) < 90
    found = Z[canonical_rows(Z)]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(90)
        np.testing.assert_array_equal(Z[order][canonical_rows(Z[order])], found)
        np.testing.assert_array_equal(Z[order, ::-1][canonical_rows(Z[order, ::-1])], found[:, ::-1])


def test_dimensions_with_equal_sums_have_an_order():
    Z = np.array([[2.0, 1, 5, 4, 3], [1.0, 5, 3, 2, 4]]).T
    far = np.abs(2 * Z - 6)
    assert len(set(np.arange(5) @ far)) == 1
    found = Z[:, canonical_columns(Z)]
    np.testing.assert_array_equal(Z[:, ::-1][:, canonical_columns(Z[:, ::-1])], found)


def test_labels_of_cells_that_are_alike_are_sorted():
    Z = np.array([[0.0, 1], [0, 1], [0, 2], [3, 2], [3, 2], [3, 2]])
    np.testing.assert_array_equal(sort_alike(np.array([2, 1, 0, 2, 1, 0]), Z), [1, 2, 0, 0, 1, 2])
    labels = np.array([3, 2, 1])
    assert sort_alike(labels, np.arange(3.0)[:, None]) is labels
