"""Difference of factors between two groups of cells, with cells or samples as the replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Contrast", "Difference", "compare", "probability_larger"]

LEVEL = 0.95  # of the intervals
NEGLIGIBLE = 1e-12  # standard error beside the values below which it is one of rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Replicates of a group and of what it is compared with.

    Parameters
    ----------
    group
        (replicates, factors): cells, or means of samples over their cells.
    reference
        The same of the others.
    paired
        Whether rows of both belong to the same samples.
    """

    group: Floats
    reference: Floats
    paired: bool

    @classmethod
    def of(
        cls, Z: Floats, inside: NDArray[np.bool_], outside: NDArray[np.bool_], samples: pd.Series | None
    ) -> Contrast:
        """Gather the replicates from ``Z`` (cells, factors); paired if both sides have the same samples."""
        if samples is None:
            return cls(Z[inside], Z[outside], paired=False)
        group, reference = (_sample_means(Z[side], samples[side]) for side in (inside, outside))
        paired = set(group.index) == set(reference.index)
        return cls(group.to_numpy(), reference.to_numpy(), paired)  # both sorted by sample

    @property
    def testable(self) -> bool:
        """Whether both sides have the two replicates that a variance needs."""
        return min(len(self.group), len(self.reference)) >= 2


@dataclass(frozen=True, eq=False)
class Difference:
    """Result by factor, each (factors,); NaN where the replicates do not vary.

    Parameters
    ----------
    difference, lower, upper
        Difference of the means and its 95 % interval.
    statistic, p_value
        Two-sided t test.
    """

    difference: Floats
    lower: Floats
    upper: Floats
    statistic: Floats
    p_value: Floats


def compare(contrast: Contrast) -> Difference:
    """Test the means by t: of the differences if paired, else Welch's, which allows unequal variances."""
    a, b = contrast.group, contrast.reference
    difference = a.mean(axis=0) - b.mean(axis=0)
    if contrast.paired:
        variance = (a - b).var(axis=0, ddof=1) / len(a)
        df = np.full(len(variance), len(a) - 1.0)
    else:
        parts = [side.var(axis=0, ddof=1) / len(side) for side in (a, b)]
        variance = parts[0] + parts[1]
        spread = parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)
        df = _ratio(variance**2, spread)
    scale = np.maximum(np.abs(a).max(axis=0), np.abs(b).max(axis=0))
    variance = np.where(variance > (NEGLIGIBLE * scale) ** 2, variance, np.nan)
    error = np.sqrt(variance)
    statistic = difference / error
    margin = stats.t.ppf((1 + LEVEL) / 2, df) * error
    p_value = 2 * stats.t.sf(np.abs(statistic), df)
    return Difference(difference, difference - margin, difference + margin, statistic, p_value)


def probability_larger(group: Floats, reference: Floats) -> Floats:
    """Probability that a random cell of the group has the larger value, ties half, shape (factors,)."""
    n = len(group)
    ranks = stats.rankdata(np.concatenate([group, reference]), axis=0)[:n]
    return (ranks.sum(axis=0) - n * (n + 1) / 2) / (n * len(reference))


def _sample_means(Z: Floats, samples: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(Z).groupby(samples.to_numpy(dtype=str), sort=True).mean()


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0)
