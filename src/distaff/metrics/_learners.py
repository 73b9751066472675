"""Importances of dimensions for a factor, by trees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)

from distaff.metrics._resampling import stratified_folds

__all__ = ["LEARNERS", "importances"]

N_FITS = {"extra_trees": 3, "gradient_boosting": 1}  # parts held out
LEARNERS = tuple(N_FITS)
N_TREES = 20  # a part
LEAF = 0.01  # share of the training cells; smaller leaves give importance to noise
MAX_CELLS = 10_000  # a tree
N_PARTS = 3  # of the cells, held out in turn


def importances(
    X: NDArray[np.float64], y: NDArray[np.float64], *, learner: str, continuous: bool, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Importances (dimensions,) of ``X`` (cells, dimensions), and accuracy or R2 on cells held out.

    Continuous factors are learnt by their ranks. NaN for the quality where no cell is held out.
    """
    if continuous:
        y = rankdata(y)
    folds = stratified_folds(np.zeros(len(y), dtype=np.int64) if continuous else y, N_PARTS, seed)
    seeds = np.random.default_rng(seed).integers(2**31, size=N_FITS[learner])
    parts = [
        _fit(X, y, folds == part, learner=learner, continuous=continuous, seed=int(own))
        for part, own in enumerate(seeds)
    ]
    qualities = [quality for _, quality in parts if not np.isnan(quality)]
    return np.mean([found for found, _ in parts], axis=0), float(np.mean(qualities or np.nan))


def _fit(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    test: NDArray[np.bool_],
    *,
    learner: str,
    continuous: bool,
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    """Importances from the cells outside ``test``, quality on those of it."""
    if len(np.unique(y[~test])) < 2:  # too few cells: nothing to learn
        return np.zeros(X.shape[1]), float("nan")
    model = _make(learner, int((~test).sum()), continuous=continuous, seed=seed)
    model.fit(X[~test], y[~test])
    found = np.maximum(model.feature_importances_, 0.0)  # boosting may leave rounding errors below 0
    if not test.any():
        return found, float("nan")
    return found, _quality(model.predict(X[test]), y[test], continuous=continuous)


def _make(learner: str, n_cells: int, *, continuous: bool, seed: int) -> Any:
    if learner == "gradient_boosting":
        boosting = GradientBoostingRegressor if continuous else GradientBoostingClassifier
        return boosting(random_state=seed)
    trees = ExtraTreesRegressor if continuous else ExtraTreesClassifier
    many = n_cells > MAX_CELLS
    return trees(
        N_TREES,
        max_features=1.0,
        min_samples_leaf=math.ceil(LEAF * min(n_cells, MAX_CELLS)),
        bootstrap=many,
        max_samples=MAX_CELLS if many else None,
        random_state=seed,
    )


def _quality(predicted: NDArray[np.float64], y: NDArray[np.float64], *, continuous: bool) -> float:
    if not continuous:
        return float((predicted == y).mean())
    spread = ((y - y.mean()) ** 2).sum()
    return float(1.0 - ((y - predicted) ** 2).sum() / spread) if spread > 0 else float("nan")
