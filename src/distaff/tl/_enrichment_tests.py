"""Tests of the relation between profiles over genes and the weights of gene sets, for all pairs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from distaff.tl._enrichment_tails import tail_p_values

__all__ = ["linear_test", "moment_test", "slopes"]

NEGLIGIBLE = 1e-12  # share of the squares below which a variance is one of rounding

OUTER = 5  # percent of the loadings on each side that are cut
HEAVY = 0.8  # excess kurtosis above which three moments do not do; measured on sparse loadings

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


def moment_test(profiles: Floats, weights: sparse.csc_matrix) -> tuple[Floats, Floats]:
    r"""Standardised sum of weighted loadings and its two-sided p-value, each (profiles, sets).

    Under permutations of the genes :math:`\sum_g w_g y_g` has known moments. A Pearson distribution of type
    III has the first three of them :cite:p:`Larson15`. The loadings that differ from the median are cut at
    their outer 5 % on each side first, so that a few extreme genes cannot make a set. Where the fourth moment
    is not a normal's, as for small sets and few loadings that are not 0, the p-value comes from random draws
    of genes, or from the bound of Chernoff or of Markov, :math:`P(|z| > t) \leq \mathrm{E} z^4 / t^4`, where
    that is smaller.
    """
    n, cut = len(profiles), _cut(profiles)
    centred = cut - cut.mean(axis=0)
    total = np.where(
        np.isnan(_total(profiles)), np.nan, _varying((centred**2).sum(axis=0), (cut**2).sum(axis=0))
    )
    spread = _spread(weights)
    deviation = np.sqrt(np.outer(total, spread) / (n - 1))
    z = (weights.T @ centred).T / deviation
    cubes = np.outer((centred**3).sum(axis=0), _cubes(weights)) * n / ((n - 1) * (n - 2))
    skewness = cubes / deviation**3
    p = 2 * np.minimum(stats.pearson3.sf(z, skewness), stats.pearson3.cdf(z, skewness))
    excess = np.outer(n * (centred**4).sum(axis=0) / total**2 - 3, n * _fourths(weights) / spread**2 - 3) / n
    heavy = excess > HEAVY
    if heavy.any():
        with np.errstate(divide="ignore"):
            markov = (3 + excess) / z**4
        p = np.where(heavy, np.minimum(tail_p_values(centred, weights, heavy), markov), p)
    return z, np.minimum(p, 1)


def _cut(profiles: Floats) -> Floats:
    """Deviations from the median, cut at the percentiles of those that are not 0."""
    deviations = profiles - np.median(profiles, axis=0)
    cut = np.zeros_like(deviations)
    for k, column in enumerate(deviations.T):
        if column.any():
            low, high = np.percentile(column[column != 0], (OUTER, 100 - OUTER))
            cut[:, k] = column.clip(min(low, 0), max(high, 0))
    return cut


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


def _fourths(weights: sparse.csc_matrix) -> Floats:
    """(sets,) sum of fourth powers about the mean."""
    n, sums = weights.shape[0], _power_sum(weights, 1)
    mean = sums / n
    parts = _power_sum(weights, 4) - 4 * mean * _power_sum(weights, 3) + 6 * mean**2 * _power_sum(weights, 2)
    return parts - 3 * n * mean**4


def _power_sum(weights: sparse.csc_matrix, power: int) -> Floats:
    return np.asarray(weights.power(power).sum(axis=0), dtype=np.float64).ravel()


def _varying(variation: Floats, squares: Floats) -> Floats:
    return np.where(variation > NEGLIGIBLE * squares, variation, np.nan)
