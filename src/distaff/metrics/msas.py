"""Best dimension of each factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from distaff.metrics._aggregate import aggregate, read_table
from distaff.metrics._score import Score

__all__ = ["msas"]


def msas(matrix: Any) -> Score:
    r"""Most similar averaging score: the best dimension of each factor, shared ones allowed.

    .. math:: \mathrm{MSAS} = \frac1K \sum_k \max_d R_{dk}

    It does not tell a latent with one dimension a factor from one where a single dimension serves all
    factors, or many serve each: read it beside :func:`distaff.metrics.lms` and :func:`distaff.metrics.msgs`.

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
    >>> from distaff.metrics import msas
    >>> score = msas(np.array([[0.9, 0.8], [0.7, 0.1]]))
    >>> round(score.value, 6), list(score.best_dimension)
    (0.85, [0, 0])
    """
    base, values, defined = read_table(matrix)
    return aggregate("msas", base, np.where(defined, values.max(axis=0), np.nan))
