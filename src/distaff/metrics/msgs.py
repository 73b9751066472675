"""Lead of the best dimension of each factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from distaff.metrics._aggregate import aggregate, read_table
from distaff.metrics._score import Score

__all__ = ["msgs"]


def msgs(matrix: Any) -> Score:
    r"""Most similar gap score: how far the best dimension of each factor leads the second.

    .. math:: \mathrm{MSGS} = \frac1K \sum_k \left(R_{(1)k} - R_{(2)k}\right)

    with the dimensions sorted by their score on factor :math:`k`. With a single dimension the second term is
    0. A latent with one live dimension can have the best gap of all: read it beside
    :func:`distaff.metrics.lms`.

    Parameters
    ----------
    matrix
        Result of another metric, such as :func:`distaff.metrics.smi`, :func:`distaff.metrics.spn` or
        :func:`distaff.metrics.max_spearman`, or its matrix (dimensions, factors). A factor whose column is
        not finite is undefined and left out.

    Returns
    -------
    Score, see there. ``n_cells`` and ``n_missing`` are those of the result, 0 for a bare matrix.

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
    >>> from distaff.metrics import msgs
    >>> score = msgs(np.array([[0.9, 0.8], [0.7, 0.1]]))
    >>> round(score.value, 6), list(score.best_dimension)
    (0.45, [0, 0])
    """
    base, values, defined = read_table(matrix)
    alone = len(values) == 1
    first, second = np.sort(np.vstack([values, np.zeros_like(values)]) if alone else values, axis=0)[:-3:-1]
    return aggregate("msgs", base, np.where(defined, first - second, np.nan))
