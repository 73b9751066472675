"""Logistic regression on one dimension, for all dimensions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["fit_logistic"]

MAX_STEPS = 100  # Newton needs about eight
TOLERANCE = 1e-10


def fit_logistic(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope and intercept (dimensions,) of one regression a row of ``x``.

    Each minimises ``sum_i log(1 + exp(m_i)) - y_i m_i + slope**2 / 2`` with ``m = slope * x + intercept``,
    the objective of scikit-learn's ``LogisticRegression`` at its default C = 1. Newton's method on two
    parameters a dimension is exact within a few steps; a step that would raise the objective is halved.

    Parameters
    ----------
    x
        (dimensions, cells), standardised.
    y
        (cells,) 0 or 1, both present.
    """
    slope, intercept = np.zeros(len(x)), np.zeros(len(x))
    loss = _loss(x, y, slope, intercept)
    for _ in range(MAX_STEPS):
        d_slope, d_intercept = _newton_step(x, y, slope, intercept)
        if max(np.abs(d_slope).max(), np.abs(d_intercept).max()) < TOLERANCE:
            break
        size = np.ones(len(x))
        new = _loss(x, y, slope + d_slope, intercept + d_intercept)
        while (worse := (new > loss + TOLERANCE * np.abs(loss)) & (size > TOLERANCE)).any():
            size[worse] /= 2
            new = _loss(x, y, slope + size * d_slope, intercept + size * d_intercept)
        slope, intercept, loss = slope + size * d_slope, intercept + size * d_intercept, new
    return slope, intercept


def _loss(
    x: NDArray[np.float64], y: NDArray[np.float64], slope: NDArray[np.float64], intercept: NDArray[np.float64]
) -> NDArray[np.float64]:
    margin = slope[:, None] * x + intercept[:, None]
    return np.logaddexp(0.0, margin).sum(axis=1) - margin @ y + slope**2 / 2


def _newton_step(
    x: NDArray[np.float64], y: NDArray[np.float64], slope: NDArray[np.float64], intercept: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p = expit(slope[:, None] * x + intercept[:, None])
    g_slope = np.einsum("dn,dn->d", x, p - y) + slope
    g_intercept = (p - y).sum(axis=1)
    weight = p * (1 - p)
    h_slope = np.einsum("dn,dn,dn->d", x, x, weight) + 1.0
    h_cross = np.einsum("dn,dn->d", x, weight)
    h_intercept = weight.sum(axis=1)
    determinant = h_slope * h_intercept - h_cross**2
    return (
        (h_cross * g_intercept - h_intercept * g_slope) / determinant,
        (h_cross * g_slope - h_slope * g_intercept) / determinant,
    )
