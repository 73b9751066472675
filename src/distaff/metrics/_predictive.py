"""Share of a factor's uncertainty that a linear model on all dimensions takes away."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import rankdata

from distaff.metrics._contract import Block, Problem
from distaff.metrics._resampling import canonical_rows, sort_alike, stratified_folds
from distaff.metrics._scaling import clip_extremes, standardise
from distaff.metrics._softmax import held_out, probabilities

__all__ = ["predictive_information"]

LEAST = 1e-15  # of a predicted probability


def predictive_information(
    problem: Problem, *, cv: int | None, clip: float, seed: int, n_jobs: int
) -> NDArray[np.float64]:
    """(factors,) 1 minus the loss of a linear model over the loss of none.

    Classes: balanced log-loss of a softmax regression. Continuous factors: squared error of a linear
    regression of the ranks. ``cv`` folds with a weak penalty, or None for the training cells and no penalty.
    """
    found = np.full(len(problem.factors), np.nan)
    for block in problem.blocks():
        rows = canonical_rows(block.Z)
        X = standardise(clip_extremes(block.Z[rows], clip))
        found[block.factors] = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_share)(X, problem, i, block, rows, cv, seed) for i in block.factors
        )
    return found


def _share(
    X: NDArray[np.float64],
    problem: Problem,
    index: int,
    block: Block,
    rows: NDArray[np.int64],
    cv: int | None,
    seed: int,
) -> float:
    y = sort_alike(problem.values(index, block)[rows], X)
    if problem.factors[index].kind == "continuous":
        return _of_ranks(X, rankdata(y), cv, seed)
    return _of_classes(X, y, cv, seed)


def _of_classes(X: NDArray[np.float64], y: NDArray[np.int64], cv: int | None, seed: int) -> float:
    """Classes that are not seen both in training and in test are left out; NaN if fewer than two remain."""
    n_classes = int(y.max()) + 1
    own = np.full(len(y), np.nan)  # probability of the cell's own class
    if cv is None:
        own = probabilities(X, y, X, n_classes, C=np.inf, balanced=True)[np.arange(len(y)), y]
    else:
        for test, predicted, trained in held_out(X, y, n_classes, cv=cv, seed=seed, balanced=True):
            right = predicted[np.arange(len(test)), y[test]]
            own[test] = np.where(trained[y[test]], right, np.nan)
    known = ~np.isnan(own)
    cells = np.bincount(y[known], minlength=n_classes)
    if (cells > 0).sum() < 2:
        return float("nan")
    loss = -np.bincount(y[known], weights=np.log(np.maximum(own[known], LEAST)), minlength=n_classes)
    mean = (loss[cells > 0] / cells[cells > 0]).mean()
    return float(1.0 - mean / np.log((cells > 0).sum()))


def _of_ranks(X: NDArray[np.float64], y: NDArray[np.float64], cv: int | None, seed: int) -> float:
    design = np.column_stack([np.ones(len(X)), X])
    if cv is None:
        predicted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return float(1.0 - ((y - predicted) ** 2).mean() / y.var())
    predicted = np.empty(len(y))
    folds = stratified_folds(np.zeros(len(y), dtype=np.int64), cv, seed)
    penalty = np.diag([0.0] + [1.0] * X.shape[1])
    for fold in range(min(cv, len(y))):
        x, t = design[folds != fold], y[folds != fold]
        weights = np.linalg.solve(x.T @ x + penalty, x.T @ t)
        predicted[folds == fold] = design[folds == fold] @ weights
    return float(1.0 - ((y - predicted) ** 2).mean() / y.var())
