"""Best rank correlation of each factor with one dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff.metrics._contract import Block, Problem, parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._ranks import column_ranks
from distaff.metrics._score import Score

__all__ = ["max_spearman"]


def max_spearman(Z: Any, Y: Any, *, kinds: Kinds = None) -> Score:
    r"""Largest absolute Spearman correlation of each factor with a dimension.

    Ranks are averaged over ties. A binary factor counts as 0 and 1; one with more classes is split into
    one factor a class, "factor: class". On classes this is the ASC score of the DRVI paper.

    A binary factor that one dimension separates perfectly reaches only :math:`\sqrt{3p(1-p)\,n^2/(n^2-1)}`
    for a share :math:`p` of positive cells: compare the score with its ``ceiling``, or read the rank-biserial
    correlation, :math:`2\,\mathrm{AUC}-1`, whose ceiling is 1. Choosing the best of D dimensions lifts the
    score of pure noise to about :math:`\sqrt{2\ln D/n}`.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``matrix`` holds absolute correlations; ``details`` holds ``correlation`` (with its
    sign, at the best dimension) and, for binary factors, ``rank_biserial`` (same dimension) and ``ceiling``.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or the kind of a factor is not clear.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`; Moinfar and Theis (2024), :cite:p:`Moinfar24`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import max_spearman
    >>> Z = np.random.default_rng(0).normal(size=(200, 3))
    >>> score = max_spearman(Z, -np.exp(Z[:, 1]))
    >>> round(score.value, 6), score.best_dimension["y1"], float(score.details["correlation"]["y1"])
    (1.0, 1, -1.0)
    """
    problem = parse(Z, Y, kinds, one_vs_rest=True)
    n_factors = len(problem.factors)
    signed = np.full((problem.Z.shape[1], n_factors), np.nan)
    biserial = np.full(signed.shape, np.nan)
    ceiling = np.full(n_factors, np.nan)
    for block in problem.blocks():
        rho, auc, top = _correlate(problem, block)
        signed[:, block.factors] = rho
        biserial[:, block.factors] = auc
        ceiling[block.factors] = top
    matrix = np.abs(signed)
    best = np.nan_to_num(matrix).argmax(axis=0)
    columns = np.arange(n_factors)
    return summarise(
        "max_spearman",
        problem,
        matrix,
        matrix.max(axis=0),
        params={},
        details={
            "correlation": signed[best, columns],
            "rank_biserial": biserial[best, columns],
            "ceiling": ceiling,
        },
    )


def _correlate(problem: Problem, block: Block) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Correlations and rank-biserial correlations (dimensions, factors), and ceilings (factors,)."""
    y = np.column_stack([problem.values(i, block) for i in block.factors]).astype(np.float64)
    z_ranks, y_ranks = _centred_ranks(block.Z), _centred_ranks(y)
    # sums of squares without a table of squares
    norms = np.sqrt(
        np.outer(np.einsum("nd,nd->d", z_ranks, z_ranks), np.einsum("nk,nk->k", y_ranks, y_ranks))
    )
    norms[block.constant] = np.inf  # correlation 0
    rho = np.clip(z_ranks.T @ y_ranks / norms, -1.0, 1.0)

    binary = np.array([problem.factors[i].kind == "binary" for i in block.factors])
    n, positive = len(y), np.where(binary, y.sum(axis=0), np.nan)
    biserial = 2.0 * (z_ranks.T @ y) / (positive * (n - positive))
    biserial[block.constant] *= 0.0
    ceiling = np.sqrt(3.0 * positive * (n - positive) / (n**2 - 1.0))
    return rho, biserial, ceiling


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = column_ranks(values)
    ranks -= (len(values) + 1) / 2.0
    return ranks
