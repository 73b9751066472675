"""Binning and plug-in mutual information, in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from distaff._checks import check_choice, check_int, listing
from distaff.metrics._contract import Problem, warn

__all__ = ["STRATEGIES", "Information", "bin_values", "entropy", "information", "mutual_information"]

STRATEGIES = ("quantile", "uniform")
MAX_BIAS = 0.1  # expected bias, as a share of the factor's entropy, above which a score is not to be trusted


def bin_values(values: NDArray[np.float64], n_bins: int, strategy: str) -> NDArray[np.int64]:
    """Bin numbers from 0 of ``values`` (cells,).

    "uniform" is the published rule: bins of equal width between the extremes. "quantile" fills bins equally
    by rank, with ties together; values of which there are at most ``n_bins`` different ones each get a bin.
    """
    if strategy == "uniform":
        return np.digitize(values, np.histogram(values, n_bins)[1][:-1]) - 1
    different, codes = np.unique(values, return_inverse=True)
    if len(different) <= n_bins:
        return codes
    ranks = rankdata(values) - 0.5
    return np.minimum(ranks * (n_bins / len(values)), n_bins - 1).astype(np.int64)


def mutual_information(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Plug-in mutual information of two codes, never negative."""
    n_a, n_b = int(a.max()) + 1, int(b.max()) + 1
    counts = np.bincount(a * n_b + b, minlength=n_a * n_b).reshape(n_a, n_b)
    joint = counts / counts.sum()
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return max(float((joint[seen] * np.log(joint[seen] / product[seen])).sum()), 0.0)


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
        (factors,) expected upward bias of ``share`` under independence, ``(B - 1)(K - 1) / (2 n H)``.
    """

    share: NDArray[np.float64]
    entropy: NDArray[np.float64]
    bias: NDArray[np.float64]

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
    H, bias = np.full(n_factors, np.nan), np.full(n_factors, np.nan)
    for block in problem.blocks():
        targets = {i: _target(problem, i, problem.values(i, block), n_bins, strategy) for i in block.factors}
        for i, y in targets.items():
            H[i] = entropy(y)
        n_used = 1
        for d in range(n_dims):
            if block.constant[d]:
                share[d, block.factors] = 0.0
                continue
            z = bin_values(block.Z[:, d], n_bins, strategy)
            n_used = max(n_used, len(np.unique(z)))
            for i, y in targets.items():
                share[d, i] = min(mutual_information(z, y) / H[i], 1.0)
        for i, y in targets.items():
            bias[i] = (n_used - 1) * (len(np.unique(y)) - 1) / (2 * len(y) * H[i])
    _warn_bias(problem, bias)
    return Information(share, H, bias)


def _target(
    problem: Problem, index: int, values: NDArray[Any], n_bins: int, strategy: str
) -> NDArray[np.int64]:
    if problem.factors[index].kind == "continuous":
        return bin_values(values, n_bins, strategy)
    return values


def _warn_bias(problem: Problem, bias: NDArray[np.float64]) -> None:
    biased = [factor.name for factor, b in zip(problem.factors, bias, strict=True) if b > MAX_BIAS]
    if biased:
        warn(
            f"Too few cells for so many bins: mutual information with {listing(biased)} is biased upwards by "
            f"up to {np.nanmax(bias):.0%} of the entropy (details['bias']). Use fewer bins."
        )
