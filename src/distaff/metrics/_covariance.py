"""Second moments of a latent: which dimensions vary, shares of a whole, ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from distaff._checks import error
from distaff.metrics._contract import constant_columns, parse_latent
from distaff.metrics._ranks import column_ranks

__all__ = ["adds_up_to_one", "covariance", "normal_scores", "parse_varying"]

SUM_TOLERANCE = 1e-4  # sums of shares that went through float32 or a Monte Carlo mean are not exact


def parse_varying(Z: Any) -> tuple[NDArray[np.float64], pd.Index, NDArray[np.bool_]]:
    """Return ``Z`` (cells, dimensions), the names of its dimensions, and which of them vary."""
    values, dimensions = parse_latent(Z)
    if len(values) < 2:
        raise error("Z must have at least two cells", got=len(values))
    return values, dimensions, ~constant_columns(values)


def covariance(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(dimensions, dimensions), with cells - 1 as the divisor."""
    centred = Z - Z.mean(axis=0)
    return centred.T @ centred / (len(Z) - 1)


def normal_scores(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column as normal quantiles of its average ranks, which no monotone transform changes."""
    return ndtri(column_ranks(Z) / (len(Z) + 1))


def adds_up_to_one(Z: NDArray[np.float64]) -> bool:
    """Whether rows are shares of a whole: two dimensions or more, none negative, each row sums to 1."""
    if Z.shape[1] < 2 or Z.min() < -SUM_TOLERANCE:
        return False
    return bool(np.abs(Z.sum(axis=1) - 1.0).max() <= SUM_TOLERANCE)
