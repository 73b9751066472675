"""Interventional robustness score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_int, check_number
from distaff.metrics._contract import constant_columns, parse
from distaff.metrics._dimension_score import summarise_dimensions
from distaff.metrics._factors import Kinds
from distaff.metrics._information import levels
from distaff.metrics._scaling import CLIP, clip_extremes
from distaff.metrics._score import Score

__all__ = ["irs"]


def irs(
    Z: Any,
    Y: Any,
    *,
    diff_quantile: float = 0.99,
    n_bins: int = 10,
    clip: float = CLIP,
    kinds: Kinds = None,
) -> Score:
    r"""Interventional robustness: how still a dimension stands while its factor keeps its level.

    .. math:: R_{dk} = 1 - \frac{\mathrm{mean}_l\, Q_{.99}\,|z_d - E[z_d | y_k = l]|}{\max |z_d - E[z_d]|}

    not below 0; the score of a dimension is its best :math:`R_{dk}`, and the mean weighs dimensions by their
    largest deviation. Nothing here asks whether other dimensions serve the same factor.

    The score reads observed cells as if factors had been set by experiment: it assumes that factors are
    crossed and independent. Cell type and program are not, and factors that go together inflate it. So do
    many levels of few cells, which deviate little by chance, and the weights follow the scale of the
    dimensions.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    diff_quantile
        Quantile of the deviations within a level.
    n_bins
        Equally full levels that a continuous factor is cut into.
    clip
        Share of the cells at either end of a dimension, one at least, that are drawn in to the next value, so
        that no single cell sets the largest deviation. 0 for none, as published.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``value`` is the weighted mean over dimensions, ``per_factor`` that over the dimensions
    that lean to the factor, 0 if none does. ``matrix`` holds :math:`R`, ``per_dimension`` the scores and
    weights, ``details`` the number of levels used (``n_levels``): those of a single cell are left out.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is out of range, or the kind of a factor is not clear.

    References
    ----------
    Suter et al. (2019), :cite:p:`Suter19`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import irs
    >>> Y = np.random.default_rng(0).integers(0, 4, size=(1000, 2))
    >>> score = irs(Y @ np.array([[1, 1], [0, 1]]), Y)
    >>> score.matrix.round(2).to_numpy().tolist()[0], float(score.per_dimension["score"].round(1)[1])
    ([1.0, 0.0], 0.5)
    """
    check_number("diff_quantile", diff_quantile, minimum=0, maximum=1)
    check_int("n_bins", n_bins, minimum=2)
    check_number("clip", clip, minimum=0, below=0.5)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    n_dims, n_factors = problem.Z.shape[1], len(problem.factors)
    matrix, n_levels = np.full((n_dims, n_factors), np.nan), np.zeros(n_factors, dtype=np.int64)
    for block in problem.blocks():
        X = clip_extremes(block.Z, clip)
        largest = np.abs(X - X.mean(axis=0)).max(axis=0)
        largest[constant_columns(X)] = 0.0
        for i in block.factors:
            y = levels(problem, i, block, n_bins)
            n_levels[i] = (np.bincount(y) > 1).sum()
            if n_levels[i]:
                share = _deviation(X, y, diff_quantile) / np.where(largest > 0, largest, np.inf)
                matrix[:, i] = np.where(largest > 0, np.maximum(1.0 - share, 0.0), 0.0)
    X = clip_extremes(problem.Z[problem.used()], clip)
    scores = np.nan_to_num(matrix).max(axis=1)
    return summarise_dimensions(
        "irs",
        problem,
        matrix,
        scores,
        np.where(constant_columns(X), 0.0, np.abs(X - X.mean(axis=0)).max(axis=0)),
        params={"diff_quantile": diff_quantile, "n_bins": n_bins, "clip": clip},
        details={"n_levels": n_levels},
    )


def _deviation(X: NDArray[np.float64], y: NDArray[np.int64], quantile: float) -> NDArray[np.float64]:
    """(dimensions,) quantile of the distance from the mean of the level, mean over levels."""
    order = np.argsort(y, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(y))[:-1])
    parts = []
    for group in groups:
        if len(group) > 1:
            x = X[group]
            parts.append(np.quantile(np.abs(x - x.mean(axis=0)), quantile, axis=0))
    return np.mean(parts, axis=0)
