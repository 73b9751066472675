"""Multinomial logistic regression of a class on all dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from distaff.metrics._resampling import stratified_folds

__all__ = ["held_out", "probabilities"]

MAX_STEPS = 10_000  # separable classes without a penalty take long


def probabilities(
    train: NDArray[np.float64],
    codes: NDArray[np.int64],
    test: NDArray[np.float64],
    n_classes: int,
    *,
    C: float = 1.0,
    balanced: bool = False,
) -> NDArray[np.float64]:
    """(test cells, classes) predicted probabilities; 0 for a class that is not seen in training."""
    seen = np.unique(codes)
    predicted = np.zeros((len(test), n_classes))
    if len(seen) == 1:
        predicted[:, seen] = 1.0
        return predicted
    model = LogisticRegression(C=C, class_weight="balanced" if balanced else None, max_iter=MAX_STEPS)
    predicted[:, seen] = model.fit(train, codes).predict_proba(test)
    return predicted


def held_out(
    Z: NDArray[np.float64],
    codes: NDArray[np.int64],
    n_classes: int,
    *,
    cv: int,
    seed: int,
    balanced: bool = False,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """For each fold its cells, their predicted probabilities, and which classes the training had."""
    folds = stratified_folds(codes, cv, seed)
    for fold in range(min(cv, len(codes))):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        predicted = probabilities(Z[train], codes[train], Z[test], n_classes, balanced=balanced)
        yield test, predicted, np.bincount(codes[train], minlength=n_classes) > 0
