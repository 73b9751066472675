"""Separated attribute predictability."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from distaff._checks import check_choice, check_int, check_n_jobs, check_seed
from distaff.metrics._contract import Block, Problem, parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import bin_columns, joint_counts
from distaff.metrics._ranks import column_ranks
from distaff.metrics._resampling import canonical_rows, sort_alike, stratified_folds
from distaff.metrics._score import Score

__all__ = ["sap"]

CLASSIFIERS = ("thresholds", "svm")
ACCURACIES = ("balanced", "plain")
CORRELATIONS = ("spearman", "pearson")
PUBLISHED_C = 0.01


def sap(
    Z: Any,
    Y: Any,
    *,
    classifier: str = "thresholds",
    accuracy: str = "balanced",
    correlation: str = "spearman",
    n_bins: int = 20,
    random_state: int = 0,
    n_jobs: int = 1,
    kinds: Kinds = None,
) -> Score:
    """Separated attribute predictability: how far one dimension leads in predicting a factor.

    The gap between the best and the second best dimension, each alone: in the squared correlation with a
    continuous factor, in the accuracy of a classifier for classes. A single dimension is compared with one
    that is constant. The score rewards a latent with one live dimension, has a ceiling well below 1 for
    classes (1 - 1/K in balanced accuracy) and a lower one where factors overlap or exclude each other: read
    it beside the score of the true factors.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    classifier
        "thresholds": each of ``n_bins`` equally full bins of the dimension goes to the class that is most
        frequent there, leaving out the cell to be predicted; where two classes lead there alike, the
        prediction is wrong. Exact, and unmoved by monotone transforms.
        "svm": a linear support vector machine (C = 0.01, balanced), trained on one half of the cells, tested
        on the other, as in common code.
    accuracy
        "balanced": mean over classes, chance 1/K. "plain": share of all cells, chance the largest class.
    correlation
        "spearman": of ranks, safe from outliers. "pearson": as published.
    n_bins
        Bins of the thresholds.
    random_state
        Seed of the halves of "svm"; the order of the cells plays no part.
    n_jobs
        Threads of "svm"; each takes one factor.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``matrix`` holds squared correlations and accuracies, no lower than chance; ``details``
    holds ``chance``, which a constant dimension gets (0 for a correlation). A class of a single cell is never
    predicted.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is unknown, or the kind of a factor is not clear.

    References
    ----------
    Kumar et al. (2018), :cite:p:`Kumar18`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import sap
    >>> cell_type = np.repeat(["B", "NK", "T"], 200)
    >>> Z = np.random.default_rng(0).normal(size=(600, 3))
    >>> Z[:, 2] += 10 * (cell_type == "B") - 10 * (cell_type == "T")
    >>> score = sap(Z, cell_type)
    >>> bool(0.55 < score.value < 2 / 3), score.best_dimension["y1"]
    (True, 2)
    """
    check_choice("classifier", classifier, CLASSIFIERS)
    check_choice("accuracy", accuracy, ACCURACIES)
    check_choice("correlation", correlation, CORRELATIONS)
    check_int("n_bins", n_bins, minimum=2)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    balanced = accuracy == "balanced"
    n_factors = len(problem.factors)
    matrix, chance = np.full((problem.Z.shape[1], n_factors), np.nan), np.full(n_factors, np.nan)
    for block in problem.blocks():
        numbers = [i for i in block.factors if problem.factors[i].kind == "continuous"]
        classes = [i for i in block.factors if problem.factors[i].kind != "continuous"]
        if numbers:
            chance[numbers] = 0.0
            matrix[:, numbers] = _squared_correlations(problem, block, numbers, correlation)
        if classes:
            targets = [problem.values(i, block) for i in classes]
            chance[classes] = [_chance(y, balanced=balanced) for y in targets]
            if classifier == "thresholds":
                found = _thresholds(block, targets, n_bins, balanced=balanced)
            else:
                found = _machines(block, targets, random_state, n_jobs, balanced=balanced)
            matrix[:, classes] = np.maximum(found, chance[classes])
    ranked = np.sort(np.vstack([matrix, chance]), axis=0)
    return summarise(
        "sap",
        problem,
        matrix,
        ranked[-1] - ranked[-2],
        params={
            "classifier": classifier,
            "accuracy": accuracy,
            "correlation": correlation,
            "n_bins": n_bins,
            "random_state": random_state,
        },
        details={"chance": chance},
        floor=np.nan_to_num(chance),
    )


def _squared_correlations(
    problem: Problem, block: Block, factors: list[int], correlation: str
) -> NDArray[np.float64]:
    """(dimensions, factors), 0 for a constant dimension."""
    y = np.column_stack([problem.values(i, block) for i in factors])
    z = block.Z
    if correlation == "spearman":
        z, y = column_ranks(z), column_ranks(y)
    z, y = z - z.mean(axis=0), y - y.mean(axis=0)
    norms = np.outer(np.einsum("nd,nd->d", z, z), np.einsum("nk,nk->k", y, y))
    norms[block.constant] = np.inf
    return np.minimum((z.T @ y) ** 2 / norms, 1.0)


def _chance(y: NDArray[np.int64], *, balanced: bool) -> float:
    counts = np.bincount(y)
    return 1.0 / len(counts) if balanced else counts.max() / len(y)


def _thresholds(
    block: Block, targets: list[NDArray[np.int64]], n_bins: int, *, balanced: bool
) -> NDArray[np.float64]:
    """(dimensions, factors) accuracy, each cell predicted from the others in its bin."""
    found = np.zeros((block.Z.shape[1], len(targets)))
    varies = ~block.constant
    if varies.any():
        bins = bin_columns(block.Z[:, varies], n_bins, "quantile")
        for k, y in enumerate(targets):
            found[varies, k] = _left_out_accuracy(joint_counts(bins, y), balanced=balanced)
    return found


def _left_out_accuracy(counts: NDArray[np.int64], *, balanced: bool) -> NDArray[np.float64]:
    """(dimensions,) leave-one-out accuracy of the most frequent class of each bin.

    All cells of one class in one bin are predicted alike: rightly if their class, less the cell itself, still
    leads the others. ``counts`` is (dimensions, bins, classes); balanced counts are shares of each class.
    """
    sizes = counts[0].sum(axis=0)
    weight = 1.0 / sizes if balanced else np.ones(len(sizes))
    left = 1.0 / np.maximum(sizes - 1, 1) if balanced else weight
    share = counts * weight
    first = np.sort(share, axis=2)[:, :, -2:]
    leads = share == first[:, :, 1:]
    others = np.where(leads, first[:, :, :1], first[:, :, 1:])  # the runner-up, for the class that leads
    right = np.where((counts - 1) * left > others, counts, 0).sum(axis=1)
    return (right / sizes).mean(axis=1) if balanced else right.sum(axis=1) / sizes.sum()


def _machines(
    block: Block, targets: list[NDArray[np.int64]], seed: int, n_jobs: int, *, balanced: bool
) -> NDArray[np.float64]:
    """(dimensions, factors) accuracy on the second half of the cells."""
    rows = canonical_rows(block.Z)
    Z = block.Z[rows]
    columns = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_machine)(Z, sort_alike(y[rows], Z), block.constant, seed, balanced=balanced) for y in targets
    )
    return np.column_stack(columns)


def _machine(
    Z: NDArray[np.float64], y: NDArray[np.int64], constant: NDArray[np.bool_], seed: int, *, balanced: bool
) -> NDArray[np.float64]:
    train = stratified_folds(y, 2, seed) == 0
    found = np.zeros(Z.shape[1])
    if len(np.unique(y[train])) < 2 or train.all():
        return found
    for d in np.flatnonzero(~constant):
        # the primal problem has the same solution as the dual one, and is found without random numbers
        model = LinearSVC(C=PUBLISHED_C, class_weight="balanced", dual=False)
        right = model.fit(Z[train, d : d + 1], y[train]).predict(Z[~train, d : d + 1]) == y[~train]
        seen = np.bincount(y[~train])
        shares = np.bincount(y[~train], weights=right)[seen > 0] / seen[seen > 0]
        found[d] = shares.mean() if balanced else right.mean()
    return found
