"""How well one dimension alone tells a class from the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from distaff._checks import check_int, check_n_jobs, check_seed, error, listing
from distaff.metrics._contract import parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._logistic import fit_logistic
from distaff.metrics._score import Score

__all__ = ["single_dimension_accuracy"]

CHANCE = 0.5  # the classes are balanced
INNER = (0.05, 0.95)  # quantiles that bound the bulk of the cells
FENCE = 5.0  # their distances beyond which a value is extreme: 18 standard deviations of a normal dimension
BLOCK = 4_000_000  # values fitted at a time, which bounds the memory


def single_dimension_accuracy(
    Z: Any, Y: Any, *, cv: int | None = 5, random_state: int = 0, n_jobs: int = 1, kinds: Kinds = None
) -> Score:
    """Accuracy of a logistic regression on the single best dimension, class by class.

    Each class of a factor is told from the rest ("factor: class"; a binary factor is one target). The larger
    side is subsampled to the size of the smaller; then, for each dimension alone, the mean accuracy of
    stratified cross-validation, with the dimension standardised inside each fold, after values that lie
    extremely far out (five times the width of the inner 90 %) are brought nearer. Chance is 0.5, and what a
    constant dimension scores; the best of many useless dimensions lies above it.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical or binary, missing labels allowed.
    cv
        Folds, at most the number of cells of the smaller side. None for the accuracy on the training cells.
    random_state
        Seed of the subsampling and of the folds.
    n_jobs
        Threads; each takes one target.
    kinds
        "categorical" or "binary" for all factors, or a mapping from a factor's name. By default floats are
        continuous (binary if 0 and 1 are the only values), all else is categorical, and whole numbers with
        more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``details`` holds ``n_balanced``, the cells used on each side, and
    ``n_folds``. A class with a single cell on one side is undefined.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, a factor is continuous, or its kind is not clear.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`; Rybakov et al. (2020), :cite:p:`Rybakov20`,
    report the accuracy on the training cells.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import single_dimension_accuracy
    >>> cell_type = np.repeat(["B", "NK", "T"], 100)
    >>> Z = np.random.default_rng(0).normal(size=(300, 4))
    >>> Z[:, 1] += 10 * (cell_type == "T")
    >>> score = single_dimension_accuracy(Z, cell_type)
    >>> float(score.per_factor["y1: T"]), score.best_dimension["y1: T"]
    (1.0, 1)
    """
    if cv is not None:
        check_int("cv", cv, minimum=2)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    problem = parse(Z, Y, kinds, one_vs_rest=True)
    continuous = [factor.name for factor in problem.factors if factor.kind == "continuous"]
    if continuous:
        raise error(
            "single_dimension_accuracy takes classes only",
            got=f"continuous {listing(continuous)}",
            fix='Use max_spearman for these, or declare kinds="categorical" if they are labels.',
        )
    n_factors = len(problem.factors)
    matrix = np.full((problem.Z.shape[1], n_factors), np.nan)
    sides, folds = np.zeros(n_factors, dtype=np.int64), np.zeros(n_factors, dtype=np.int64)
    for block in problem.blocks():
        targets = [problem.values(i, block) for i in block.factors]
        results = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_accuracies)(block.Z, y, cv, random_state) for y in targets
        )
        for i, y, accuracy in zip(block.factors, targets, results, strict=True):
            matrix[:, i] = accuracy
            matrix[block.constant & ~np.isnan(accuracy), i] = CHANCE
            sides[i] = min(y.sum(), len(y) - y.sum())
            folds[i] = 0 if cv is None or sides[i] < 2 else min(cv, sides[i])
    return summarise(
        "single_dimension_accuracy",
        problem,
        matrix,
        matrix.max(axis=0),
        params={"cv": 0 if cv is None else cv, "random_state": random_state},
        details={"n_balanced": sides, "n_folds": folds},
        floor=CHANCE,
    )


def _accuracies(
    Z: NDArray[np.float64], y: NDArray[np.int64], cv: int | None, seed: int
) -> NDArray[np.float64]:
    """(dimensions,) mean accuracy over folds; NaN if a side has a single cell."""
    rows = _balanced(y, seed)
    y = y[rows]
    n_side = len(rows) // 2
    if n_side < 2:
        return np.full(Z.shape[1], np.nan)
    everything = np.arange(len(rows))
    if cv is None:
        splits = [(everything, everything)]
    else:
        splitter = StratifiedKFold(min(cv, n_side), shuffle=True, random_state=seed)
        splits = list(splitter.split(everything, y))
    width = max(1, BLOCK // len(rows))
    parts = []
    for start in range(0, Z.shape[1], width):
        x = np.ascontiguousarray(Z[rows, start : start + width].T)
        parts.append(np.mean([_fold(x, y, train, test) for train, test in splits], axis=0))
    return np.concatenate(parts)


def _balanced(y: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rows of all cells of the smaller side and of as many of the larger."""
    sides = sorted((np.flatnonzero(y == 0), np.flatnonzero(y == 1)), key=len)
    if len(sides[1]) > len(sides[0]):
        sides[1] = np.random.default_rng(seed).choice(sides[1], size=len(sides[0]), replace=False)
    return np.sort(np.concatenate(sides))


def _fold(
    x: NDArray[np.float64], y: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(dimensions,) accuracy on the test cells."""
    x = _fenced(x, train)
    mean = x[:, train].mean(axis=1, keepdims=True)
    sd = x[:, train].std(axis=1, keepdims=True)
    sd[sd == 0] = 1.0  # constant in this fold: the slope stays 0
    slope, intercept = fit_logistic((x[:, train] - mean) / sd, y[train].astype(np.float64))
    margin = slope[:, None] * (x[:, test] - mean) / sd + intercept[:, None]
    return ((margin > 0) == (y[test] == 1)).mean(axis=1)


def _fenced(x: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bring extreme values near the others: one of them would swell the scale until the slope vanishes."""
    low, high = np.quantile(x[:, train], INNER, axis=1)[:, :, None]
    margin = np.where(high > low, FENCE * (high - low), np.inf)
    lowest, highest = low - margin, high + margin
    if (x >= lowest).all() and (x <= highest).all():
        return x
    return np.clip(x, lowest, highest)
