"""Binning and plug-in mutual information, in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from distaff._checks import check_choice, check_int, listing
from distaff.metrics._contract import Block, Problem, warn

__all__ = [
    "STRATEGIES",
    "Information",
    "bin_columns",
    "bin_values",
    "entropy",
    "information",
    "joint_counts",
    "levels",
    "mutual_information",
]

STRATEGIES = ("quantile", "uniform")
LEVEL = 0.001  # of the test that a dimension tells anything
MAX_BIAS = 0.1  # expected bias, as a share of the factor's entropy, above which a score is not to be trusted


def bin_values(values: NDArray[np.float64], n_bins: int, strategy: str) -> NDArray[np.int64]:
    """Bin numbers from 0 of ``values`` (cells,).

    "uniform" is the published rule: bins of equal width between the extremes. "quantile" fills bins equally
    by rank, with ties together; values of which there are at most ``n_bins`` different ones each get a bin.
    """
    if strategy == "uniform":
        return np.digitize(values, np.histogram(values, n_bins)[1][:-1]) - 1
    different, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(different) <= n_bins:
        return codes
    middle = np.cumsum(counts) - counts / 2  # of the ranks of each value, ties together
    return np.minimum(middle * (n_bins / len(values)), n_bins - 1).astype(np.int64)[codes]


def bin_columns(Z: NDArray[np.float64], n_bins: int, strategy: str) -> NDArray[np.int64]:
    """Bin numbers (cells, dimensions) of each dimension."""
    bins = np.empty(Z.shape, dtype=np.int64)
    for d in range(Z.shape[1]):
        bins[:, d] = bin_values(Z[:, d], n_bins, strategy)
    return bins


def joint_counts(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cells (dimensions, values of a, values of b) of codes ``a`` (cells, dimensions) and ``b`` (cells,)."""
    n_dims = a.shape[1]
    n_a, n_b = int(a.max()) + 1, int(b.max()) + 1
    places = a + n_a * np.arange(n_dims)
    places *= n_b
    places += b[:, None]
    return np.bincount(places.ravel(), minlength=n_dims * n_a * n_b).reshape(n_dims, n_a, n_b)


def _information_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(dimensions,) plug-in mutual information of joint counts."""
    joint = counts / counts.sum(axis=(1, 2), keepdims=True)
    product = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    seen = joint > 0
    terms = np.zeros(joint.shape)
    terms[seen] = joint[seen] * np.log(joint[seen] / product[seen])
    return np.maximum(terms.sum(axis=(1, 2)), 0.0)


def _pearson_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(dimensions,) Pearson's chi-squared of joint counts."""
    n = counts.sum(axis=(1, 2))
    expected = counts.sum(axis=2, keepdims=True) * counts.sum(axis=1, keepdims=True) / n[:, None, None]
    squares = counts**2 / np.where(expected > 0, expected, 1.0)
    return np.asarray(squares.sum(axis=(1, 2)) - n)


def mutual_information(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Plug-in mutual information of two codes, never negative."""
    return float(_information_of(joint_counts(a[:, None], b))[0])


def entropy(codes: NDArray[np.int64]) -> float:
    """Plug-in entropy of a code."""
    counts = np.bincount(codes)
    shares = counts[counts > 0] / len(codes)
    return float(-(shares * np.log(shares)).sum())


@dataclass(frozen=True, eq=False)
class Information:
    """Mutual information of all pairs.

    Parameters
    ----------
    share
        (dimensions, factors) information as a share of the factor's entropy, NaN for a constant factor.
    entropy
        (factors,) nats.
    bias
        (factors,) expected upward bias of ``share`` under independence, ``(B - 1)(K - 1) / (2 n H)``, for the
        dimension with most bins.
    excess
        (dimensions, factors) the same for each pair.
    pearson
        (dimensions, factors) Pearson's chi-squared.
    n_cells
        (factors,) labelled cells.
    """

    share: NDArray[np.float64]
    entropy: NDArray[np.float64]
    bias: NDArray[np.float64]
    excess: NDArray[np.float64]
    pearson: NDArray[np.float64]
    n_cells: NDArray[np.int64]

    @property
    def significant(self) -> NDArray[np.bool_]:
        """(dimensions, factors) whether there is any information.

        With many cells and no information both ``2 n I`` and Pearson's statistic are chi-squared with
        ``(B - 1)(K - 1)`` degrees of freedom. With few cells the first is too large where one to five are
        expected in each field of the table, the second where rare classes meet rare bins. So both must be
        beyond the limit. The level is 0.001 over all factors of a dimension together.
        """
        scale = 2.0 * self.n_cells * self.entropy
        limit = chi2.isf(LEVEL / len(self.entropy), np.maximum(scale * self.excess, 1.0))
        return np.asarray(np.minimum(scale * self.share, self.pearson) > limit)

    @property
    def corrected(self) -> NDArray[np.float64]:
        """(dimensions, factors) ``share`` less the bias of the pair, 0 where it is not significant."""
        found = np.where(self.significant, self.share - self.excess, 0.0)
        return np.where(np.isnan(self.share), np.nan, found)

    @property
    def details(self) -> dict[str, Any]:
        """Columns for :class:`Score`."""
        return {"entropy": self.entropy, "bias": self.bias}


def information(problem: Problem, *, n_bins: int, strategy: str) -> Information:
    """Normalised mutual information of each dimension with each factor."""
    check_int("n_bins", n_bins, minimum=2)
    check_choice("strategy", strategy, STRATEGIES)
    n_dims, n_factors = problem.Z.shape[1], len(problem.factors)
    share = np.full((n_dims, n_factors), np.nan)
    excess, pearson = np.full(share.shape, np.nan), np.full(share.shape, np.nan)
    H = np.full(n_factors, np.nan)
    for block in problem.blocks():
        varies = ~block.constant
        bins = bin_columns(block.Z[:, varies], n_bins, strategy)
        for i in block.factors:
            y = levels(problem, i, block, n_bins, strategy)
            H[i] = entropy(y)
            share[:, i] = excess[:, i] = pearson[:, i] = 0.0
            if varies.any():
                counts = joint_counts(bins, y)
                share[varies, i] = np.minimum(_information_of(counts) / H[i], 1.0)
                n_used = (counts.sum(axis=2) > 0).sum(axis=1)
                pearson[varies, i] = _pearson_of(counts)
                excess[varies, i] = (n_used - 1) * (len(np.unique(y)) - 1) / (2 * len(y) * H[i])
    bias = excess.max(axis=0)
    _warn_bias(problem, bias)
    n_cells = np.array([int(factor.labelled.sum()) for factor in problem.factors])
    return Information(share, H, bias, excess, pearson, n_cells)


def levels(
    problem: Problem, index: int, block: Block, n_bins: int, strategy: str = "quantile"
) -> NDArray[np.int64]:
    """Class numbers of factor ``index`` in the cells of ``block``; a continuous factor is binned.

    Each number has a cell.
    """
    values = problem.values(index, block)
    if problem.factors[index].kind == "continuous":
        return np.unique(bin_values(values, n_bins, strategy), return_inverse=True)[1]
    return values


def _warn_bias(problem: Problem, bias: NDArray[np.float64]) -> None:
    biased = [factor.name for factor, b in zip(problem.factors, bias, strict=True) if b > MAX_BIAS]
    if biased:
        warn(
            f"Too few cells for so many bins: mutual information with {listing(biased)} is biased upwards by "
            f"up to {np.nanmax(bias):.0%} of the entropy (details['bias']). Use fewer bins."
        )
