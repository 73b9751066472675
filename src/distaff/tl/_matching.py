"""Factors of several runs put together where they are the same; arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import linear_sum_assignment

__all__ = ["chance_levels", "common_signs", "correlations", "groups", "match", "stability"]

MAX_STARTS = 5  # runs, the most central first, that a search starts from
NEGLIGIBLE = 1e-9  # gain of a step that is one of rounding
RANK = 1e-6  # share of the largest singular value below which a direction is one of rounding
DRAWN = 1000  # factors to turn at random, over all draws
MIN_DRAWS = 3
FEW = 20  # matched factors below which a level is not that of their number of runs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def correlations(profiles: Sequence[Floats]) -> Floats:
    """Pearson correlations of the columns of all tables, none of which is constant."""
    return _crossed([_standardised(X) for X in profiles])


def match(similarity: Floats, run: Ints, threshold: float) -> Ints:
    r"""Label factors, at most one of each run, that are the same.

    Maximises :math:`\sum (s_{ij} - \tau)` over all pairs :math:`i, j` of factors with the same label, for
    similarities :math:`s` and the threshold :math:`\tau`: no run is the reference. From a start, in which all
    runs are assigned to one of them, the run whose best one-to-one assignment to all others gains the most is
    assigned anew until none gains. The best end of all starts is taken.

    Parameters
    ----------
    similarity
        (factors, factors)
    run
        (factors,) run of each factor, from 0.
    threshold
        Similarity from which two factors are rather the same than not.

    Returns
    -------
    (factors,) labels from 0; a factor that is like no other has one of its own.
    """
    surplus = np.where(run[:, None] == run, 0.0, similarity - threshold)
    n_runs = int(run.max()) + 1
    between = np.maximum(surplus, 0.0)
    central = [between[run == r].sum() for r in range(n_runs)]
    starts = np.argsort(-np.round(central, 6), kind="stable")[:MAX_STARTS]
    best, labels = -np.inf, np.arange(len(run))
    for start in starts:
        found = _climb(surplus, run, n_runs, _assigned_to(surplus, run, n_runs, int(start)))
        value = surplus[found[:, None] == found].sum()
        if value > best + NEGLIGIBLE:
            best, labels = value, found
    return np.unique(labels, return_inverse=True)[1]


def common_signs(correlation: Floats) -> Ints:
    """(factors,) 1 or -1 that makes the correlations of like factors positive, as far as it can be."""
    leading = np.linalg.eigh(correlation)[1][:, -1]
    return np.where(leading < 0, -1, 1)


def chance_levels(profiles: Sequence[Floats], threshold: float, *, random_state: int) -> dict[int, float]:
    """Stability that 5 % of matched factors exceed if the axes of each run say nothing.

    The factors of each run are turned at random within the space that they span, which keeps all that two
    runs have in common but for their axes, and are matched like the factors themselves.

    Parameters
    ----------
    profiles
        (rows, factors) of each run.
    threshold
        As for :func:`match`.
    random_state
        Seed of the rotations.

    Returns
    -------
    The level for factors found in so many runs. Where too few of that number are matched by chance it is
    that of all together, and where none is, the threshold.
    """
    rng = np.random.default_rng(random_state)
    bases = [_basis(X) for X in profiles]
    run = np.repeat(np.arange(len(bases)), [basis.shape[1] for basis in bases])
    shared = _crossed(bases)
    found: dict[int, list[float]] = {n: [] for n in range(2, len(bases) + 1)}
    for _ in range(max(MIN_DRAWS, -(-DRAWN // len(run)))):
        turn = block_diag(*(_rotation(rng, basis.shape[1]) for basis in bases))
        similarity = np.abs(turn.T @ shared @ turn)
        for group in groups(match(similarity, run, threshold)):
            found[len(group)].append(stability(similarity, group))
    together = [value for values in found.values() for value in values]
    return {
        n: float(np.quantile(values if len(values) >= FEW else together, 0.95)) if together else threshold
        for n, values in found.items()
    }


def groups(labels: Ints) -> list[Ints]:
    """Positions of the factors of each label that two or more have."""
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [part for part in parts if len(part) > 1]


def stability(similarity: Floats, group: Ints) -> float:
    """Mean over all pairs of a group."""
    return float(similarity[np.ix_(group, group)][np.triu_indices(len(group), 1)].mean())


def _crossed(standardised: list[Floats]) -> Floats:
    joined = np.hstack(standardised)
    return np.clip(joined.T @ joined, -1.0, 1.0)


def _standardised(X: Floats) -> Floats:
    """Centred, with columns of length 1."""
    centred = X - X.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=0)


def _assigned_to(surplus: Floats, run: Ints, n_runs: int, reference: int) -> Ints:
    """Labels of all runs matched with one of them."""
    labels = np.arange(len(run))
    target = np.flatnonzero(run == reference)
    for r in range(n_runs):
        own = np.flatnonzero(run == r)
        if r != reference:
            labels = _relabelled(labels, own, surplus[np.ix_(own, target)], target)
    return labels


def _climb(surplus: Floats, run: Ints, n_runs: int, labels: Ints) -> Ints:
    """Assign one run after the other anew, while that is better."""
    members = [np.flatnonzero(run == r) for r in range(n_runs)]
    while True:
        gain, step = NEGLIGIBLE, None
        for own in members:
            names, scores = _scores(surplus, labels, own)
            before = scores[labels[own][:, None] == names].sum()
            after = _positive(scores)
            if after - before > gain:
                gain, step = after - before, (own, scores, names)
        if step is None:
            return labels
        labels = _relabelled(labels, *step)


def _scores(surplus: Floats, labels: Ints, own: Ints) -> tuple[Ints, Floats]:
    """Labels that the other runs have, and what each factor of a run would add to them."""
    others = np.setdiff1d(np.arange(len(labels)), own, assume_unique=True)
    others = others[np.argsort(labels[others], kind="stable")]
    first = np.flatnonzero(np.diff(labels[others], prepend=-1))
    return labels[others[first]], np.add.reduceat(surplus[np.ix_(own, others)], first, axis=1)


def _positive(scores: Floats) -> float:
    """Value of the best one-to-one assignment, in which what has no positive score stays alone."""
    gains = np.maximum(scores, 0.0)
    return float(gains[linear_sum_assignment(gains, maximize=True)].sum())


def _relabelled(labels: Ints, own: Ints, scores: Floats, names: Ints) -> Ints:
    """Labels after the best assignment of the factors ``own`` to ``names``; the others get new ones."""
    changed = labels.copy()
    changed[own] = labels.max() + 1 + np.arange(len(own))
    for row, column in zip(*linear_sum_assignment(np.maximum(scores, 0.0), maximize=True), strict=True):
        if scores[row, column] > 0:
            changed[own[row]] = names[column]
    return changed


def _basis(X: Floats) -> Floats:
    """Orthonormal basis of the centred columns."""
    U, singular, _ = np.linalg.svd(_standardised(X), full_matrices=False)
    return U[:, singular > RANK * singular[0]]


def _rotation(rng: np.random.Generator, n: int) -> Floats:
    return np.linalg.qr(rng.normal(size=(n, n)))[0]
