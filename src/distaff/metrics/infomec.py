"""InfoMEC: modularity, explicitness and compactness in terms of information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.feature_selection import mutual_info_classif

from distaff._checks import check_choice, check_int, check_n_jobs, check_number, check_seed
from distaff.metrics._contract import Block, Problem, constant_columns, parse
from distaff.metrics._dimension_score import summarise_dimensions
from distaff.metrics._factors import Kinds
from distaff.metrics._information import entropy, information, levels
from distaff.metrics._predictive import predictive_information
from distaff.metrics._resampling import canonical_rows, sort_alike
from distaff.metrics._scaling import CLIP, clip_extremes, standardise
from distaff.metrics._score import Score

__all__ = ["infomec"]

ESTIMATORS = ("quantile", "knn")


def infomec(
    Z: Any,
    Y: Any,
    *,
    estimator: str = "quantile",
    n_bins: int = 20,
    n_neighbors: int = 10,
    threshold: float = 0.05,
    cv: int | None = 3,
    clip: float = CLIP,
    random_state: int = 0,
    n_jobs: int = 1,
    kinds: Kinds = None,
) -> Score:
    r"""InfoM, InfoC and InfoE: one factor a dimension, one dimension a factor, all factors in the latent.

    From the normalised information :math:`N_{dk} = I(z_d; y_k) / H(y_k)` of active dimensions

    .. math:: \mathrm{InfoM} = \mathrm{mean}_d \frac{\max_k N_{dk} / \sum_k N_{dk} - 1/K}{1 - 1/K} \qquad
              \mathrm{InfoC} = \mathrm{mean}_k \frac{\max_d N_{dk} / \sum_d N_{dk} - 1/D}{1 - 1/D}

    and InfoE, the mean over factors of the share of the entropy that a linear model on all dimensions takes
    away. With one factor InfoM is 1, with one active dimension InfoC is 1; what carries no information counts
    0 in InfoC and is left out of InfoM. Ratios take no account of size: a dimension that knows a little of
    one factor is as modular as one that knows all of it, so a low InfoE makes the others meaningless.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    estimator
        Of the information: "quantile", equally full bins, less the bias of their number; it is 0 unless a
        likelihood ratio test and Pearson's test both find it (level 0.001, all factors of a dimension
        together), so that with few cells dimensions look purer than they are. "knn": nearest neighbours as
        published, slow.
    n_bins
        Bins of each dimension, and of each continuous factor.
    n_neighbors
        Neighbours of "knn": 10 as published, 3 in the older version.
    threshold
        A dimension is active if its range exceeds this share of the largest: 1/20 as published, 1/8 in the
        older version. This one number depends on the scale of the dimensions.
    cv
        Folds of the linear model, which has a weak penalty then. None as published: no penalty, and the fit
        is judged on the cells it was made from, which rewards many dimensions.
    clip
        Share of the cells at either end of a dimension, one at least, that are drawn in to the next value
        before ranges and linear models. 0 for none, as published.
    random_state
        Seed of folds and neighbours; the order of the cells plays no part.
    n_jobs
        Threads; each takes one factor.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``value`` is InfoM, ``summary`` holds ``infom``, ``infoc`` and ``infoe``. ``per_factor``
    is the mean over the active dimensions that lean to the factor, 0 if none does; ``details`` holds
    ``infoc``, ``infoe`` and ``entropy`` of each factor, ``per_dimension`` InfoM and ``active``, ``matrix``
    :math:`N`. InfoE of a continuous factor is the share of the variance of its ranks that is predicted; it
    may fall below 0.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, an option is out of range, or the kind of a factor is not clear.

    References
    ----------
    Hsu et al. (2023), :cite:p:`Hsu23`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import infomec
    >>> Y = np.random.default_rng(0).integers(0, 4, size=(1000, 2))
    >>> score = infomec(np.column_stack([Y, Y[:, 0]]), Y)
    >>> {name: round(part, 1) for name, part in score.summary.items()}
    {'infom': 1.0, 'infoc': 0.6, 'infoe': 0.9}
    """
    check_choice("estimator", estimator, ESTIMATORS)
    check_int("n_bins", n_bins, minimum=2)
    check_int("n_neighbors", n_neighbors, minimum=1)
    check_number("threshold", threshold, minimum=0, below=1)
    check_number("clip", clip, minimum=0, below=0.5)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    if cv is not None:
        check_int("cv", cv, minimum=2)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    if estimator == "knn":
        share, H = _neighbour_information(problem, n_bins, n_neighbors, random_state, n_jobs)
    else:
        found = information(problem, n_bins=n_bins, strategy="quantile")
        share, H = found.corrected, found.entropy
    X = clip_extremes(problem.Z[problem.used()], clip)
    ranges = np.where(constant_columns(X), 0.0, np.ptp(X, axis=0))
    active = ranges > threshold * ranges.max()
    parts = _ratios(share[:, ~np.isnan(H)], active)
    infoc = np.full(len(H), np.nan)
    infoc[~np.isnan(H)] = parts.infoc
    infoe = predictive_information(problem, cv=cv, clip=clip, seed=random_state, n_jobs=n_jobs)
    result = {"infom": parts.total_infom, "infoc": _mean(infoc), "infoe": _mean(infoe)}
    return summarise_dimensions(
        "infomec",
        problem,
        share,
        parts.infom,
        parts.weights,
        params={
            "estimator": estimator,
            "n_bins": n_bins,
            "n_neighbors": n_neighbors,
            "threshold": threshold,
            "cv": 0 if cv is None else cv,
            "clip": clip,
            "random_state": random_state,
        },
        details={"infoc": infoc, "infoe": infoe, "entropy": H},
        columns={"active": active},
        summary=result,
    )


@dataclass(frozen=True, eq=False)
class _Ratios:
    """InfoM (dimensions,) with weights 1 where it counts, and InfoC (factors,)."""

    infom: NDArray[np.float64]
    weights: NDArray[np.float64]
    infoc: NDArray[np.float64]

    @property
    def total_infom(self) -> float:
        if len(self.infoc) == 0:
            return float("nan")
        return float(self.infom.sum() / max(self.weights.sum(), 1.0))


def _ratios(share: NDArray[np.float64], active: NDArray[np.bool_]) -> _Ratios:
    """Both ratios of information (dimensions, factors), of which only active dimensions count."""
    known = np.where(active[:, None], share, 0.0)
    infom = _concentration(known, share.shape[1])
    weights = (known.sum(axis=1) > 0).astype(np.float64)
    return _Ratios(infom, weights, _concentration(known.T, int(active.sum())))


def _concentration(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """(rows,) share of the largest of ``n`` values, from 0 (all equal) to 1 (one alone); 0 without any."""
    total = values.sum(axis=1)
    top = values.max(axis=1, initial=0.0) / np.where(total > 0, total, 1.0)
    scaled = (top - 1 / n) / (1 - 1 / n) if n > 1 else np.ones(len(values))
    return np.where(total > 0, scaled, 0.0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _neighbour_information(
    problem: Problem, n_bins: int, n_neighbors: int, seed: int, n_jobs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share (dimensions, factors) and entropy (factors,) by nearest neighbours, 0 for constant dimensions."""
    n_factors = len(problem.factors)
    share, H = np.full((problem.Z.shape[1], n_factors), np.nan), np.full(n_factors, np.nan)
    for block in problem.blocks():
        rows = canonical_rows(block.Z)
        X = standardise(block.Z[rows])
        targets = [sort_alike(levels(problem, i, block, n_bins)[rows], X) for i in block.factors]
        columns = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_neighbours)(X, y, block, n_neighbors, seed) for y in targets
        )
        for i, y, column in zip(block.factors, targets, columns, strict=True):
            H[i] = entropy(y)
            share[:, i] = np.minimum(column / H[i], 1.0)
    return share, H


def _neighbours(
    X: NDArray[np.float64], y: NDArray[np.int64], block: Block, n_neighbors: int, seed: int
) -> NDArray[np.float64]:
    found = mutual_info_classif(X, y, discrete_features=False, n_neighbors=n_neighbors, random_state=seed)
    return np.where(block.constant, 0.0, found)
