"""One-to-one matching of dimensions with factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from distaff.metrics._aggregate import aggregate, read_table
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
    None for a factor left over or matched at 0. ``n_cells`` and ``n_missing`` are those of the
    result, 0 for a bare matrix.

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
    base, values, defined = read_table(matrix)
    table = base.matrix
    rows, columns = linear_sum_assignment(values[:, defined], maximize=True)
    columns = np.flatnonzero(defined)[columns]
    matched = np.where(defined, 0.0, np.nan)
    matched[columns] = values[rows, columns]
    best = pd.Series([None] * len(matched), index=table.columns, dtype=object, name="best_dimension")
    best.iloc[columns] = [
        table.index[d] if values[d, k] > 0 else None for d, k in zip(rows, columns, strict=True)
    ]
    return aggregate("lms", base, matched, best=best)
