"""The factors themselves as latents: what a score reaches when every dimension is a factor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff.metrics._factors import Factor

__all__ = ["truth_latents"]


def truth_latents(factors: list[Factor], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Return one or two latents (cells, dimensions).

    In the first each class of a factor has a dimension of zeros and ones, in the second each factor has one
    dimension with its classes numbered; two classes and amounts are one dimension in both, and if there is
    nothing else the second is left out. A cell without a label gets that of a cell drawn at random, which
    tells nothing about other factors.
    """
    filled = [_fill(factor, rng) for factor in factors]
    numbered = np.column_stack(filled)
    split = [
        np.eye(len(factor.classes))[values.astype(np.int64)] if len(factor.classes) > 2 else values[:, None]
        for factor, values in zip(factors, filled, strict=True)
    ]
    one_hot = np.hstack(split)
    return [one_hot, numbered] if one_hot.shape[1] > numbered.shape[1] else [one_hot]


def _fill(factor: Factor, rng: np.random.Generator) -> NDArray[Any]:
    values, labelled = factor.values.astype(np.float64), factor.labelled
    if not labelled.any():
        return np.zeros(len(values))
    values[~labelled] = rng.choice(values[labelled], size=int((~labelled).sum()))
    return values
