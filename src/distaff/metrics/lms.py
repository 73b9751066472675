"""One-to-one matching of dimensions with factors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from distaff._checks import error
from distaff.metrics._score import Score

__all__ = ["lms"]


def lms(matrix: Any) -> Score:
    r"""Latent matching score: the best assignment of one dimension of its own to each factor.

    .. math:: \mathrm{LMS} = \frac1K \max_{\pi} \sum_k R_{\pi(k)\,k}

    over all one-to-one assignments :math:`\pi`. With fewer dimensions than factors the factors left over
    count 0.

    Parameters
    ----------
    matrix
        Result of another metric, such as :func:`distaff.metrics.smi`, or its matrix (dimensions, factors). A
        factor whose column is not finite is undefined and left out.

    Returns
    -------
    Score, see there. ``per_factor`` is the score of the matched dimension, ``best_dimension`` that dimension,
    None for a factor left over. ``n_cells`` and ``n_missing`` are those of the result, 0 for a bare matrix.

    Raises
    ------
    ValueError
        If ``matrix`` is not a table.

    References
    ----------
    Moinfar and Theis (2024), :cite:p:`Moinfar24`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import lms
    >>> score = lms(np.array([[0.9, 0.8], [0.7, 0.1]]))
    >>> round(score.value, 6), list(score.best_dimension)
    (0.75, [1, 0])
    """
    base = matrix if isinstance(matrix, Score) else _bare(pd.DataFrame(matrix))
    table = base.matrix
    values = table.to_numpy(dtype=np.float64)
    if 0 in values.shape:
        raise error("matrix must have at least one dimension and one factor", got=f"shape {values.shape}")
    defined = np.isfinite(values).all(axis=0)
    rows, columns = linear_sum_assignment(values[:, defined], maximize=True)
    columns = np.flatnonzero(defined)[columns]
    matched = np.where(defined, 0.0, np.nan)
    matched[columns] = values[rows, columns]
    best = pd.Series([None] * len(matched), index=table.columns, dtype=object, name="best_dimension")
    best.iloc[columns] = [table.index[row] for row in rows]
    return replace(
        base,
        name="lms",
        value=float(matched[defined].mean()) if defined.any() else float("nan"),
        per_factor=pd.Series(matched, index=table.columns, name="lms"),
        best_dimension=best,
        params={**base.params, "matched": base.name},
    )


def _bare(table: pd.DataFrame) -> Score:
    """A matrix of unknown origin as a result, to be filled in."""
    zeros = pd.Series(0, index=table.columns)
    nothing = pd.Series(np.nan, index=table.columns)
    return Score("matrix", np.nan, nothing, table, nothing, zeros, zeros, pd.DataFrame(index=table.columns))
