"""How much the factors tell about each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics.cluster import expected_mutual_information

from distaff._checks import check_int, error
from distaff.metrics._factors import Factor, Kinds, parse_factors
from distaff.metrics._information import bin_values, entropy, joint_counts, mutual_information

__all__ = ["factor_dependence"]

EXACT = 100_000  # cells; with more the expectation takes its time, and its first order is as good
LEAST = 1e-9  # share of the entropy that chance must leave


def factor_dependence(Y: Any, *, n_bins: int = 20, kinds: Kinds = None) -> pd.DataFrame:
    r"""Share of the uncertainty of a factor that another factor takes away, beyond chance.

    .. math:: D_{jk} = \frac{I(y_j; y_k) - E_{jk}}{H(y_k) - E_{jk}}

    not below 0, with :math:`E_{jk}` the mean of :math:`I` over permutations of the labels. It is 1 where
    :math:`y_k` is a function of :math:`y_j` and about 0 for independent factors, however many classes there
    are and however few cells.

    Scores that take the best dimension and subtract the second best assume independent factors: where
    another factor takes away a share of factor :math:`k`, the dimension that stands for it does so too, and
    the gap of even a perfect latent is lower by that share. Exclusive classes are dependent as well.

    Parameters
    ----------
    Y
        (cells,) or (cells, factors): categorical, binary or continuous. A pair is compared in the cells that
        have both labels.
    n_bins
        Equally full bins of a continuous factor.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    DataFrame (factors, factors) with values in [0, 1]: the row takes away from the uncertainty of the column,
    so the table is not symmetric. The diagonal is 1; NaN where the column does not vary in the cells of the
    pair, and where chance takes all away, as a row does that has a class for each cell.

    Raises
    ------
    ValueError
        If the kind of a factor is not clear.

    References
    ----------
    Vinh et al. (2010), :cite:p:`Vinh10`.

    Examples
    --------
    >>> import pandas as pd
    >>> from distaff.metrics import factor_dependence
    >>> Y = pd.DataFrame({"type": ["B", "CD4", "CD8"] * 100, "T cell": ["no", "yes", "yes"] * 100})
    >>> table = factor_dependence(Y)
    >>> round(float(table.loc["type", "T cell"]), 1), round(float(table.loc["T cell", "type"]), 1)
    (1.0, 0.6)
    """
    check_int("n_bins", n_bins, minimum=2)
    try:
        n_cells = len(Y)
    except TypeError:
        got = type(Y).__name__
        raise error("Y must be (cells,) or (cells, factors)", got=got, kind=TypeError) from None
    factors = parse_factors(Y, n_cells, kinds)
    codes = [_codes(factor, n_bins) for factor in factors]
    names = [factor.name for factor in factors]
    table = np.full((len(codes), len(codes)), np.nan)
    for j, own in enumerate(codes):
        table[j, j] = np.nan if factors[j].constant else 1.0
        for k in range(j):
            table[j, k], table[k, j] = _shares(own, codes[k])
    return pd.DataFrame(table, index=names, columns=names)


def _codes(factor: Factor, n_bins: int) -> NDArray[np.int64]:
    """(cells,) class or bin of each cell, -1 without a label."""
    if factor.kind != "continuous":
        return factor.values
    codes = np.full(len(factor.values), -1, dtype=np.int64)
    labelled = factor.labelled
    if labelled.any():
        codes[labelled] = bin_values(factor.values[labelled], n_bins, "quantile")
    return codes


def _shares(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[float, float]:
    """Shares that ``a`` takes away from ``b``, and ``b`` from ``a``."""
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    if len(a) == 0:
        return np.nan, np.nan
    shared, chance = mutual_information(a, b), _by_chance(a, b)
    of_b, of_a = (_beyond(shared, H, chance) for H in (entropy(b), entropy(a)))
    return of_b, of_a


def _beyond(shared: float, H: float, chance: float) -> float:
    """Share of what chance leaves of the entropy, NaN where that is nothing."""
    left = H - chance
    return min(max((shared - chance) / left, 0.0), 1.0) if left > LEAST * H else np.nan


def _by_chance(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mean information of permuted labels, in nats."""
    counts = joint_counts(a[:, None], b)[0]
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    if len(a) <= EXACT:
        return float(expected_mutual_information(sparse.csr_matrix(counts), len(a)))
    return (counts.shape[0] - 1) * (counts.shape[1] - 1) / (2 * len(a))
