"""Explicitness: whether a linear model finds a factor in the whole latent."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import rankdata

from distaff._checks import check_int, check_n_jobs, check_number, check_seed
from distaff.metrics._contract import constant_columns, parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import levels
from distaff.metrics._resampling import canonical_rows, sort_alike
from distaff.metrics._scaling import CLIP, clip_extremes, standardise
from distaff.metrics._score import Score
from distaff.metrics._softmax import held_out

__all__ = ["explicitness"]

CHANCE = 0.5


def explicitness(
    Z: Any,
    Y: Any,
    *,
    cv: int = 3,
    n_bins: int = 5,
    clip: float = CLIP,
    random_state: int = 0,
    n_jobs: int = 1,
    kinds: Kinds = None,
) -> Score:
    """Explicitness: how well a linear classifier on all dimensions ranks the cells of each class.

    A multinomial logistic regression on standardised dimensions; the area under the ROC curve of each class
    against the rest on cells held out, mean over folds and classes. Chance is 0.5. It says that the latent
    knows a factor, not that a dimension does: any rotation of the latent scores the same. Classes that are
    easily told apart take it near 1 for almost any latent of single cells, so that it hardly tells good
    latents apart.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    cv
        Folds, stratified by class.
    n_bins
        Equally full classes that a continuous factor is cut into.
    clip
        Share of the cells at either end of a dimension, one at least, that are drawn in to the next value, so
        that no single cell sets the scale. 0 for none, as published.
    random_state
        Seed of the folds; the order of the cells plays no part.
    n_jobs
        Threads; each takes one factor.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``matrix`` holds the area under the curve of each dimension alone, in the better
    direction, mean over the same classes; ``details`` holds ``n_classes``, those with a score: a class of a
    single cell has none.
    ``summary["normalised"]`` is the score from 0 (chance) to 1.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is out of range, or the kind of a factor is not clear.

    References
    ----------
    Ridgeway and Mozer (2018), :cite:p:`Ridgeway18`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import explicitness
    >>> rng = np.random.default_rng(0)
    >>> cell_type = np.repeat(["B", "NK", "T"], 100)
    >>> Z = rng.normal(size=(300, 4)) + 10 * (cell_type == "T")[:, None] * [1, -1, 0, 0]
    >>> score = explicitness(Z, cell_type == "T")
    >>> float(score), bool(abs(explicitness(Z, rng.permutation(cell_type)).value - 0.5) < 0.1)
    (1.0, True)
    """
    check_int("cv", cv, minimum=2)
    check_int("n_bins", n_bins, minimum=2)
    check_number("clip", clip, minimum=0, below=0.5)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    n_factors = len(problem.factors)
    matrix = np.full((problem.Z.shape[1], n_factors), np.nan)
    scores, n_classes = np.full(n_factors, np.nan), np.zeros(n_factors, dtype=np.int64)
    for block in problem.blocks():
        rows = canonical_rows(block.Z)
        X = standardise(clip_extremes(block.Z[rows], clip))
        ranks = rankdata(block.Z[rows], axis=0)
        targets = [sort_alike(levels(problem, i, block, n_bins)[rows], X) for i in block.factors]
        areas = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_areas)(X, y, cv, random_state) for y in targets
        )
        for i, y, area in zip(block.factors, targets, areas, strict=True):
            n_classes[i] = (~np.isnan(area)).sum()
            if n_classes[i]:
                scores[i] = np.nanmean(area)
                matrix[:, i] = np.where(block.constant, CHANCE, _single_areas(ranks, y, ~np.isnan(area)))
    value = float(np.nanmean(scores)) if n_classes.any() else float("nan")
    return summarise(
        "explicitness",
        problem,
        matrix,
        scores,
        params={"cv": cv, "n_bins": n_bins, "clip": clip, "random_state": random_state},
        details={"n_classes": n_classes},
        floor=CHANCE,
        summary={"normalised": (value - CHANCE) / (1 - CHANCE)},
    )


def _areas(X: NDArray[np.float64], y: NDArray[np.int64], cv: int, seed: int) -> NDArray[np.float64]:
    """(classes,) area under the curve, mean over folds; NaN for a class that cannot be held out."""
    counts = np.bincount(y)
    total, n_folds = np.zeros(len(counts)), np.zeros(len(counts), dtype=np.int64)
    varies = ~constant_columns(X)
    if not varies.any():
        return np.where(counts > 1, CHANCE, np.nan)
    for test, predicted, trained in held_out(X[:, varies], y, len(counts), cv=cv, seed=seed):
        positive = np.bincount(y[test], minlength=len(counts))
        defined = trained & (positive > 0) & (positive < len(test))
        ranks = rankdata(predicted[:, defined], axis=0)
        sums = (ranks * (y[test][:, None] == np.flatnonzero(defined))).sum(axis=0)
        total[defined] += _area(sums, positive[defined], len(test))
        n_folds += defined
    return np.where(n_folds > 0, total / np.maximum(n_folds, 1), np.nan)


def _single_areas(
    ranks: NDArray[np.float64], y: NDArray[np.int64], scored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(dimensions,) area under the curve in the better direction, mean over classes with a score."""
    members = (y[:, None] == np.flatnonzero(scored)).astype(np.float64)
    area = _area(ranks.T @ members, np.bincount(y)[scored], len(y))
    return np.maximum(area, 1 - area).mean(axis=1)


def _area(rank_sums: NDArray[np.float64], positive: NDArray[np.int64], n_cells: int) -> NDArray[np.float64]:
    """Area under the ROC curve from the sum of the ranks of the positive cells."""
    return (rank_sums - positive * (positive + 1) / 2) / (positive * (n_cells - positive))
