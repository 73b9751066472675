"""Same-process neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_choice, error, listing
from distaff.metrics._contract import parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._score import Score

__all__ = ["spn"]

TIES = ("expected", "input")


def spn(Z: Any, Y: Any, *, ties: str = "expected", kinds: Kinds = None) -> Score:
    r"""Same-process neighbours: how often cells of a class follow each other along a dimension.

    .. math:: \mathrm{SPN}_{dk} = \frac{\max(a_{dk} / (n_k - 1) - n_k / N,\ 0)}{1 - n_k / N}

    with :math:`a_{dk}` the neighbouring pairs inside class :math:`k` after the :math:`N` cells are sorted by
    dimension :math:`d`. It is 1 where the class is one run, anywhere on the axis, and on average 0 for
    a random order. The best dimension counts; pass the result to :func:`distaff.metrics.lms`,
    :func:`distaff.metrics.msas` or :func:`distaff.metrics.msgs` for the other aggregations.

    Equal values have no order. The default takes the expectation of :math:`a_{dk}` over all their
    orders: a run of :math:`m` equal cells, :math:`c` of them in the class, adds :math:`c (c - 1) / m`, and
    the step to the next run :math:`(c / m)(c' / m')`. A constant dimension then scores exactly 0.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical or binary, missing labels allowed. A factor with more than
        two classes is split into one factor a class, "factor: class". Of two classes the later one is scored;
        for both, as published, give one column of zeros and ones a class.
    ties
        "expected": see above. "input": equal values stay in the order of the cells, as published; the score
        then depends on that order. The two are the same where no values are equal.
    kinds
        "categorical" or "binary" for all factors, or a mapping from a factor's name. By default floats are
        continuous (binary if 0 and 1 are the only values), all else is categorical, and whole numbers with
        more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``details`` holds ``n_class``, the cells of the class. A class with a single cell is
    undefined.

    Raises
    ------
    ValueError
        If ``Z`` is not finite, a factor is continuous, or its kind is not clear.

    References
    ----------
    Moinfar and Theis (2024), :cite:p:`Moinfar24`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import spn
    >>> cell_type = np.repeat(["B", "NK", "T"], 100)
    >>> Z = np.random.default_rng(0).normal(size=(300, 2))
    >>> Z[:, 0] += 10 * (cell_type == "NK")
    >>> score = spn(Z, cell_type)
    >>> float(score.per_factor["y1: NK"]), score.best_dimension["y1: NK"]
    (1.0, 0)
    """
    check_choice("ties", ties, TIES)
    problem = parse(Z, Y, kinds, one_vs_rest=True)
    continuous = [factor.name for factor in problem.factors if factor.kind == "continuous"]
    if continuous:
        raise error(
            "spn takes classes only",
            got=f"continuous {listing(continuous)}",
            fix='Use smi or max_spearman for these, or declare kinds="categorical" if they are labels.',
        )
    n_factors = len(problem.factors)
    matrix = np.full((problem.Z.shape[1], n_factors), np.nan)
    sizes = np.array([int((factor.values == 1).sum()) for factor in problem.factors])
    for block in problem.blocks():
        scored = [i for i in block.factors if sizes[i] > 1]
        if not scored:
            continue
        members = np.column_stack([problem.values(i, block) == 1 for i in scored])
        share = sizes[scored] / len(members)
        for d in range(matrix.shape[0]):
            if block.constant[d]:
                matrix[d, scored] = 0.0
                continue
            pairs = _pairs(block.Z[:, d], members, ties)
            matrix[d, scored] = np.maximum(pairs / (sizes[scored] - 1) - share, 0.0) / (1.0 - share)
    return summarise(
        "spn",
        problem,
        matrix,
        matrix.max(axis=0),
        params={"ties": ties},
        details={"n_class": sizes},
    )


def _pairs(z: NDArray[np.float64], members: NDArray[np.bool_], ties: str) -> NDArray[np.float64]:
    """(factors,) neighbours inside the class along ``z`` (cells,), with ``members`` (cells, factors)."""
    order = np.argsort(z, kind="stable")
    z, members = z[order], members[order]
    new = z[1:] != z[:-1]
    if ties == "input" or new.all():
        return (members[1:] & members[:-1]).sum(axis=0)
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    sizes = np.diff(starts, append=len(z))[:, None]
    counts = np.add.reduceat(members, starts, axis=0, dtype=np.float64)
    share = counts / sizes
    return (share * (counts - 1)).sum(axis=0) + (share[1:] * share[:-1]).sum(axis=0)
