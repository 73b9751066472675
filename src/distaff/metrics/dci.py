"""DCI: disentanglement, completeness and informativeness."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import rankdata

from distaff._checks import check_choice, check_n_jobs, check_seed
from distaff.metrics._contract import Block, Problem, parse
from distaff.metrics._dimension_score import summarise_dimensions, weighted_mean
from distaff.metrics._factors import Kinds
from distaff.metrics._learners import LEARNERS, importances
from distaff.metrics._resampling import canonical_columns, canonical_rows, sort_alike
from distaff.metrics._score import Score

__all__ = ["dci"]


def dci(
    Z: Any,
    Y: Any,
    *,
    learner: str = "extra_trees",
    random_state: int = 0,
    n_jobs: int = 1,
    kinds: Kinds = None,
) -> Score:
    r"""Disentanglement, completeness and informativeness, from the importances of a learner.

    A learner predicts each factor from all dimensions; :math:`R_{dk}` is the importance of dimension
    :math:`d` for factor :math:`k`, the impurity it takes away, which sums to 1 over dimensions.

    .. math:: D_d = 1 - H_K\!\left(\frac{R_{d\cdot}}{\sum_k R_{dk}}\right) \qquad
              C_k = 1 - H_D\!\left(\frac{R_{\cdot k}}{\sum_d R_{dk}}\right)

    with entropies to the base of the number of factors and dimensions; their means weigh by the sums. With
    one factor :math:`D_d` is 1, with one dimension :math:`C_k` is 1; without any importance both are 0.

    Importances are relative: a dimension that helps a little with one factor is as disentangled as one that
    knows it, so read both beside the accuracy. Completeness rewards collapse. The importance that noise gets
    depends on the learner and falls with the number of cells: compare scores of the same learner and the same
    cells.

    Parameters
    ----------
    Z
        (cells, dimensions) latent. Only the order of the cells along a dimension is used.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    learner
        "extra_trees": extremely randomised trees that weigh all dimensions at each split, with at least 1 %
        of the training cells in a leaf; 20 for each third of the cells held out, of at most 10,000 cells
        each. "gradient_boosting": as published, with one third held out; many times slower, and more of its
        importance goes to noise.
    random_state
        Seed of the learner and of the split; the order of cells and dimensions plays no part.
    n_jobs
        Threads; each takes one factor.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``value`` is the disentanglement, ``summary`` holds ``disentanglement``,
    ``completeness``, ``accuracy`` and ``r2``. ``per_factor`` is the disentanglement of the dimensions that
    lean to the factor, 0 if none does; ``details`` holds ``completeness`` and, on a third of the cells held
    out, ``accuracy`` (classes) and ``r2`` (continuous factors, of ranks). ``matrix`` holds the importances.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, the learner is unknown, or the kind of a factor is not clear.

    References
    ----------
    Eastwood and Williams (2018), :cite:p:`Eastwood18`; extremely randomised trees: :cite:p:`Geurts06`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import dci
    >>> Y = np.random.default_rng(0).integers(0, 3, size=(600, 2))
    >>> score = dci(np.column_stack([Y, Y[:, 0]]) + 0.0, Y)
    >>> round(score.value, 1), round(float(score.details["completeness"]["y2"]), 1)
    (1.0, 1.0)
    >>> bool(score.details["completeness"]["y1"] < 0.5)  # two dimensions share it
    True
    """
    check_choice("learner", learner, LEARNERS)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    n_factors = len(problem.factors)
    R, quality = np.full((problem.Z.shape[1], n_factors), np.nan), np.full(n_factors, np.nan)
    for block in problem.blocks():
        R[:, block.factors], quality[block.factors] = _learn(problem, block, learner, random_state, n_jobs)
    defined = ~np.isnan(R).any(axis=0)
    known = R[:, defined]
    completeness = np.full(n_factors, np.nan)
    completeness[defined] = _concentration(known.T)
    continuous = np.array([factor.kind == "continuous" for factor in problem.factors])
    details = {
        "completeness": completeness,
        "accuracy": np.where(continuous, np.nan, quality),
        "r2": np.where(continuous, quality, np.nan),
    }
    scores = _concentration(known) if defined.any() else np.full(len(R), np.nan)
    weights = known.sum(axis=1)
    return summarise_dimensions(
        "dci",
        problem,
        R,
        scores,
        weights,
        params={"learner": learner, "random_state": random_state},
        details=details,
        summary={
            "disentanglement": weighted_mean(scores, weights) if defined.any() else float("nan"),
            "completeness": weighted_mean(completeness[defined], known.sum(axis=0))
            if defined.any()
            else float("nan"),
            "accuracy": _mean(details["accuracy"]),
            "r2": _mean(details["r2"]),
        },
    )


def _learn(
    problem: Problem, block: Block, learner: str, seed: int, n_jobs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Importances (dimensions, factors of the block) and quality (factors of the block)."""
    rows = canonical_rows(block.Z)
    ranks = rankdata(block.Z[rows], axis=0)
    ranks[:, block.constant] = 0.0
    columns = canonical_columns(ranks)
    X = ranks[:, columns]
    results = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(importances)(
            X,
            sort_alike(problem.values(i, block)[rows], X),
            learner=learner,
            continuous=problem.factors[i].kind == "continuous",
            seed=seed,
        )
        for i in block.factors
    )
    R = np.empty((X.shape[1], len(results)))
    R[columns] = np.column_stack([found for found, _ in results])
    return R, np.array([quality for _, quality in results])


def _concentration(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows,) 1 minus the entropy of each row, to the base of its length; 0 for a row of zeros."""
    total = R.sum(axis=1, keepdims=True)
    shares = R / np.where(total > 0, total, 1.0)
    entropy = entr(shares).sum(axis=1) / np.log(max(R.shape[1], 2))
    return np.where(total[:, 0] > 0, 1.0 - entropy, 0.0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
