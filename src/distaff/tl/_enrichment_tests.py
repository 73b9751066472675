"""Tests of the relation between profiles over genes and the weights of gene sets, for all pairs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from distaff.metrics._ranks import column_ranks

__all__ = ["linear_test", "rank_test", "slopes"]

NEGLIGIBLE = 1e-12  # share of the squares below which a variance is one of rounding

Floats = NDArray[np.float64]


def slopes(profiles: Floats, weights: sparse.csc_matrix) -> Floats:
    r"""Slope :math:`b` of :math:`y_g = a + b\,w_g + \epsilon_g` over genes, (profiles, sets).

    Parameters
    ----------
    profiles
        (genes, profiles)
    weights
        (genes, sets), 0 for genes that are not in a set.

    Returns
    -------
    For weights of one value, 1: the difference of the mean of the set and that of all other genes. NaN where
    a profile or the weights do not vary, here as below.
    """
    centred = profiles - profiles.mean(axis=0)
    return (weights.T @ centred).T / _spread(weights) + 0 * _total(profiles)[:, None]


def linear_test(profiles: Floats, weights: sparse.csc_matrix) -> tuple[Floats, Floats]:
    """T statistic of the slope and its two-sided p-value, each (profiles, sets), for normal residuals."""
    df = len(profiles) - 2
    total = _total(profiles)[:, None]
    r = slopes(profiles, weights) * np.sqrt(_spread(weights) / total)
    residual = np.maximum(1 - r**2, NEGLIGIBLE)
    statistic = r * np.sqrt(df / residual)
    return statistic, 2 * stats.t.sf(np.abs(statistic), df)


def rank_test(profiles: Floats, weights: sparse.csc_matrix) -> tuple[Floats, Floats]:
    r"""Standardised sum of weighted ranks and its two-sided p-value, each (profiles, sets).

    Under permutations of the genes :math:`\sum_g w_g r_g` has known moments. A Pearson distribution of type
    III has the first three of them :cite:p:`Larson15`: the skewness matters for loadings with many zeros,
    whose ranks are equal.
    """
    n = len(profiles)
    ranks = column_ranks(profiles)
    centred = ranks - ranks.mean(axis=0)
    total = np.where(np.isnan(_total(profiles)), np.nan, (centred**2).sum(axis=0))[:, None]
    deviation = np.sqrt(total * _spread(weights) / (n - 1))
    z = (weights.T @ centred).T / deviation
    cubes = np.outer((centred**3).sum(axis=0), _cubes(weights)) * n / ((n - 1) * (n - 2))
    skewness = cubes / deviation**3
    tail = np.minimum(stats.pearson3.sf(z, skewness), stats.pearson3.cdf(z, skewness))
    return z, np.minimum(2 * tail, 1)


def _total(profiles: Floats) -> Floats:
    """(profiles,) sum of squares about the mean, NaN for a constant."""
    centred = profiles - profiles.mean(axis=0)
    return _varying((centred**2).sum(axis=0), (profiles**2).sum(axis=0))


def _spread(weights: sparse.csc_matrix) -> Floats:
    """(sets,) sum of squares about the mean, NaN for a constant."""
    squares = _power_sum(weights, 2)
    return _varying(squares - _power_sum(weights, 1) ** 2 / weights.shape[0], squares)


def _cubes(weights: sparse.csc_matrix) -> Floats:
    """(sets,) sum of cubes about the mean."""
    n, sums = weights.shape[0], _power_sum(weights, 1)
    return _power_sum(weights, 3) - 3 * sums / n * _power_sum(weights, 2) + 2 * sums**3 / n**2


def _power_sum(weights: sparse.csc_matrix, power: int) -> Floats:
    return np.asarray(weights.power(power).sum(axis=0), dtype=np.float64).ravel()


def _varying(variation: Floats, squares: Floats) -> Floats:
    return np.where(variation > NEGLIGIBLE * squares, variation, np.nan)
