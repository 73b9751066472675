"""The score of the FactorVAE paper: which factor was held still, by the dimension that varies least."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_choice, check_int, check_number, check_seed
from distaff.metrics._contract import constant_columns, parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import levels
from distaff.metrics._resampling import LevelSampler, canonical_rows
from distaff.metrics._scaling import CLIP, clip_extremes
from distaff.metrics._score import Score

__all__ = ["factor_vae_score"]

PRUNINGS = ("relative", "absolute")
BLOCK = 4_000_000  # values drawn at a time, which bounds the memory


def factor_vae_score(
    Z: Any,
    Y: Any,
    *,
    batch_size: int = 64,
    n_train: int = 10_000,
    n_test: int = 5_000,
    pruning: str = "relative",
    threshold: float = 0.05,
    n_bins: int = 10,
    clip: float = CLIP,
    random_state: int = 0,
    kinds: Kinds = None,
) -> Score:
    r"""Accuracy of a majority vote on which factor was held still, from the dimension that varies least.

    A vote is the dimension with the smallest :math:`\mathrm{var}_d / s_d^2` in a batch of cells with the same
    level of one factor, :math:`s_d^2` being the variance over all cells. Each dimension stands for the factor
    that gave it most votes in training, the first column of ``Y`` where two gave as many: of two factors with
    the same values the second scores 0. Chance is 1/K, and 1 for a single factor; 0 if no dimension is
    active.

    Drawn from observed cells, what goes along with a factor is held still too. One dimension that leads by a
    hair wins all votes, so the score does not see that another factor moves it as well. A level that varies
    more than the rest of the cells in the dimension of its factor votes for another one.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    batch_size
        Cells of a vote. Levels are drawn as often as they are frequent, those of one cell left out.
    n_train, n_test
        Votes that the majority is taken of and judged on, shared equally by the factors.
    pruning
        A dimension is active if its standard deviation reaches ``threshold``: "relative" to the largest one,
        "absolute" as published, which is meant for a latent with a standard normal prior.
    threshold
        Smallest standard deviation of an active dimension.
    n_bins
        Equally full levels that a continuous factor is cut into.
    clip
        Share of the cells at either end of a dimension, one at least, that are drawn in to the next value, so
        that no single cell sets the variance. 0 for none, as published.
    random_state
        Seed of the draws; the order of the cells plays no part.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``per_factor`` is the share of the test votes of each factor that fall on its
    dimensions, ``matrix`` the share of its training votes that each dimension got. ``summary["chance"]`` is
    1/K, ``summary["n_active"]`` the number of active dimensions.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is out of range, or the kind of a factor is not clear.

    References
    ----------
    Kim and Mnih (2018), :cite:p:`Kim18`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import factor_vae_score
    >>> rng = np.random.default_rng(0)
    >>> Y = rng.integers(0, 5, size=(1000, 3))
    >>> factor_vae_score(Y, Y).value
    1.0
    >>> bool(factor_vae_score(rng.normal(size=(1000, 3)), Y).value < 0.5)
    True
    """
    check_int("batch_size", batch_size, minimum=2)
    for name, number in (("n_train", n_train), ("n_test", n_test)):
        check_int(name, number, minimum=1)
    check_choice("pruning", pruning, PRUNINGS)
    check_number("threshold", threshold, minimum=0)
    check_int("n_bins", n_bins, minimum=2)
    check_number("clip", clip, minimum=0, below=0.5)
    check_seed("random_state", random_state)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    n_dims, n_factors = problem.Z.shape[1], len(problem.factors)
    n_shares = max(sum(not factor.constant for factor in problem.factors), 1)
    sizes = [-(-n // n_shares) for n in (n_train, n_test)]
    active = _active(clip_extremes(problem.Z[problem.used()], clip), pruning, threshold)
    votes = np.full((2, n_dims, n_factors), np.nan)
    for block in problem.blocks():
        rows = canonical_rows(block.Z)
        X = clip_extremes(block.Z[rows], clip)
        usable = np.flatnonzero(active & ~constant_columns(X))
        for i in block.factors:
            sampler = LevelSampler(levels(problem, i, block, n_bins)[rows])
            if not sampler.empty:
                steady = _steadiest(X[:, usable], sampler, batch_size, sum(sizes), random_state)
                for part, chosen in enumerate((steady[: sizes[0]], steady[sizes[0] :])):
                    votes[part, :, i] = np.bincount(usable[chosen], minlength=n_dims)
    found = ~np.isnan(votes).any(axis=(0, 1))
    return summarise(
        "factor_vae_score",
        problem,
        votes[0] / sizes[0],
        _accuracies(_majority(votes[0]), votes[1]) / sizes[1],
        params={
            "batch_size": batch_size,
            "n_train": n_train,
            "n_test": n_test,
            "pruning": pruning,
            "threshold": threshold,
            "n_bins": n_bins,
            "clip": clip,
            "random_state": random_state,
        },
        summary={
            "chance": 1.0 / found.sum() if found.any() else float("nan"),
            "n_active": float(active.sum()),
        },
    )


def _active(X: NDArray[np.float64], pruning: str, threshold: float) -> NDArray[np.bool_]:
    deviation = np.where(constant_columns(X), 0.0, X.std(axis=0, ddof=1) if len(X) > 1 else 0.0)
    limit = threshold * deviation.max() if pruning == "relative" else threshold
    return (deviation >= limit) & (deviation > 0)


def _steadiest(
    X: NDArray[np.float64], sampler: LevelSampler, batch_size: int, n_votes: int, seed: int
) -> NDArray[np.int64]:
    """Dimension of the smallest relative variance for each vote; none if there is no dimension."""
    if X.shape[1] == 0:
        return np.empty(0, dtype=np.int64)
    rng = np.random.default_rng(seed)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    width = max(1, BLOCK // (batch_size * X.shape[1]))
    parts = []
    for start in range(0, n_votes, width):
        batch = scaled[sampler.draw(rng, min(width, n_votes - start), batch_size)]
        parts.append(batch.var(axis=1).argmin(axis=1))
    return np.concatenate(parts)


def _majority(votes: NDArray[np.float64]) -> NDArray[np.int64]:
    """(dimensions,) factor with most of the votes (dimensions, factors); -1 without any, first of equals."""
    known = np.nan_to_num(votes)
    return np.where(known.max(axis=1) > 0, known.argmax(axis=1), -1)


def _accuracies(majority: NDArray[np.int64], votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(factors,) votes of each factor that fall on dimensions that stand for it."""
    own = majority[:, None] == np.arange(votes.shape[1])
    return np.where(np.isnan(votes), votes, votes * own).sum(axis=0)
