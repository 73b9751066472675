"""The score of the beta-VAE paper: which factor was held still, by a linear classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_flag, check_int, check_number, check_seed
from distaff.metrics._contract import constant_columns, parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import levels
from distaff.metrics._resampling import LevelSampler, canonical_rows
from distaff.metrics._scaling import CLIP, clip_extremes, standardise
from distaff.metrics._score import Score
from distaff.metrics._softmax import probabilities

__all__ = ["beta_vae_score"]

BLOCK = 4_000_000  # values drawn at a time, which bounds the memory


def beta_vae_score(
    Z: Any,
    Y: Any,
    *,
    n_pairs: int = 64,
    n_train: int = 10_000,
    n_test: int = 5_000,
    n_bins: int = 10,
    standardised: bool = True,
    clip: float = CLIP,
    random_state: int = 0,
    kinds: Kinds = None,
) -> Score:
    """Accuracy in telling which factor was held still, from the mean difference of pairs of cells.

    A point is the mean of :math:`|z - z'|` over pairs of cells with the same level of one factor; a linear
    classifier has to say which factor it was. Chance is 1/K, and 1 for a single factor.

    Drawn from observed cells, what goes along with a factor is held still too. A linear classifier needs no
    dimension of its own for a factor, so a rotated latent can reach 1, and with few factors nearly every
    latent does: a low score says more than a high one.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    n_pairs
        Pairs of cells of a point. Levels are drawn as often as they are frequent, those of one cell left out.
    n_train, n_test
        Points that the classifier is trained and judged on, shared equally by the factors.
    n_bins
        Equally full levels that a continuous factor is cut into.
    standardised
        Give all dimensions variance 1, without which the penalty of the classifier falls on those of small
        scale. False as published.
    clip
        Share of the cells at either end of a dimension, one at least, that are drawn in to the next value, so
        that no single cell sets the scale. 0 for none, as published.
    random_state
        Seed of the draws; the order of the cells plays no part.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``per_factor`` is the accuracy on the points of each factor; ``matrix`` tells how much
    stiller the dimension stands than between any two cells (1 - mean difference / mean difference of all
    pairs, not below 0). ``summary["chance"]`` is 1/K.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is out of range, or the kind of a factor is not clear.

    References
    ----------
    Higgins et al. (2017), :cite:p:`Higgins17`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import beta_vae_score
    >>> rng = np.random.default_rng(0)
    >>> Y = rng.integers(0, 5, size=(1000, 3))
    >>> pure = beta_vae_score(Y, Y, n_train=600, n_test=300)
    >>> noise = beta_vae_score(rng.normal(size=(1000, 3)), Y, n_train=600, n_test=300)
    >>> pure.value, bool(abs(noise.value - 1 / 3) < 0.1)
    (1.0, True)
    """
    check_flag("standardised", standardised)
    for name, number in (("n_pairs", n_pairs), ("n_train", n_train), ("n_test", n_test)):
        check_int(name, number, minimum=1)
    check_int("n_bins", n_bins, minimum=2)
    check_number("clip", clip, minimum=0, below=0.5)
    check_seed("random_state", random_state)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    n_dims, n_factors = problem.Z.shape[1], len(problem.factors)
    n_shares = max(sum(not factor.constant for factor in problem.factors), 1)
    sizes = [-(-n // n_shares) for n in (n_train, n_test)]
    points: dict[int, NDArray[np.float64]] = {}
    matrix = np.full((n_dims, n_factors), np.nan)
    for block in problem.blocks():
        rows = canonical_rows(block.Z)
        X = clip_extremes(block.Z[rows], clip)
        X = standardise(X) if standardised else X
        usual = np.where(constant_columns(X), np.inf, _mean_difference(X))
        for i in block.factors:
            sampler = LevelSampler(levels(problem, i, block, n_bins)[rows])
            if not sampler.empty:
                points[i] = _differences(X, sampler, n_pairs, sum(sizes), random_state)
                still = 1.0 - points[i].mean(axis=0) / usual
                matrix[:, i] = np.where(np.isinf(usual), 0.0, np.maximum(still, 0.0))
    return summarise(
        "beta_vae_score",
        problem,
        matrix,
        _accuracies(points, sizes[0], n_factors),
        params={
            "n_pairs": n_pairs,
            "n_train": n_train,
            "n_test": n_test,
            "n_bins": n_bins,
            "standardised": standardised,
            "clip": clip,
            "random_state": random_state,
        },
        summary={"chance": 1.0 / len(points) if points else float("nan")},
    )


def _mean_difference(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """(dimensions,) mean absolute difference of two cells drawn with replacement."""
    n = len(X)
    weights = 2.0 * np.arange(1, n + 1) - n - 1
    return 2.0 * (weights @ np.sort(X, axis=0)) / n**2


def _differences(
    X: NDArray[np.float64], sampler: LevelSampler, n_pairs: int, n_points: int, seed: int
) -> NDArray[np.float64]:
    """(points, dimensions) mean absolute difference of pairs that share the level."""
    rng = np.random.default_rng(seed)
    width = max(1, BLOCK // (2 * n_pairs * X.shape[1]))
    parts = []
    for start in range(0, n_points, width):
        cells = sampler.draw(rng, min(width, n_points - start), 2 * n_pairs)
        parts.append(np.abs(X[cells[:, :n_pairs]] - X[cells[:, n_pairs:]]).mean(axis=1))
    return np.concatenate(parts)


def _accuracies(points: dict[int, NDArray[np.float64]], n_train: int, n_factors: int) -> NDArray[np.float64]:
    """(factors,) share of the test points of each factor that the classifier gives to it."""
    found = np.full(n_factors, np.nan)
    if not points:
        return found
    factors = sorted(points)
    train = np.concatenate([points[i][:n_train] for i in factors])
    test = np.concatenate([points[i][n_train:] for i in factors])
    codes = np.repeat(np.arange(len(factors)), n_train)
    predicted = probabilities(train, codes, test, len(factors)).argmax(axis=1).reshape(len(factors), -1)
    found[factors] = (predicted == np.arange(len(factors))[:, None]).mean(axis=1)
    return found
