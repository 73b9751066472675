"""How much the factors tell about each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_int, error
from distaff.metrics._factors import Factor, Kinds, parse_factors
from distaff.metrics._information import bin_values, entropy, joint_counts, mutual_information

__all__ = ["factor_dependence"]


def factor_dependence(Y: Any, *, n_bins: int = 20, kinds: Kinds = None) -> pd.DataFrame:
    r"""Share of the uncertainty of a factor that another factor takes away, :math:`I(y_j; y_k) / H(y_k)`.

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
    so the table is not symmetric. The expected bias of independent factors is subtracted. The diagonal is 1;
    NaN where a factor does not vary in the cells of the pair.

    Raises
    ------
    ValueError
        If the kind of a factor is not clear.

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
    counts = joint_counts(a[:, None], b)[0]
    n_a, n_b = (counts.sum(axis=1) > 0).sum(), (counts.sum(axis=0) > 0).sum()
    shared = max(mutual_information(a, b) - (n_a - 1) * (n_b - 1) / (2 * len(a)), 0.0)
    of_b, of_a = (min(shared / H, 1.0) if H > 0 else np.nan for H in (entropy(b), entropy(a)))
    return of_b, of_a
