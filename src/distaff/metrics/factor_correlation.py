"""Correlations among the dimensions of the latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from distaff._checks import check_flag
from distaff.metrics._covariance import covariance, parse_varying
from distaff.metrics._ranks import column_ranks

__all__ = ["FactorCorrelation", "factor_correlation"]


@dataclass(frozen=True, eq=False)
class FactorCorrelation:
    r"""Correlations of all pairs of dimensions, lower is better; ``float(result)`` is their mean size.

    Parameters
    ----------
    value
        Mean absolute correlation of two different dimensions; 0 for fewer than two that vary.
    correlation
        (varying dimensions, varying dimensions) correlations.
    eigenvalues
        (varying dimensions,) of the correlations, largest first; they add up to the number of dimensions.
    effective_dimensions
        :math:`(\sum \lambda)^2 / \sum \lambda^2`: the number of dimensions if none are correlated, 1 if
        all are the same; 0 if none varies.
    varies
        (dimensions,) whether the dimension varies; the others are left out.
    """

    value: float
    correlation: pd.DataFrame
    eigenvalues: pd.Series
    effective_dimensions: float
    varies: pd.Series

    def __float__(self) -> float:
        return self.value


def factor_correlation(Z: Any, *, ranks: bool = False) -> FactorCorrelation:
    r"""Correlations :math:`R = \hat Z^\top \hat Z / (N - 1)` of the standardised dimensions.

    Constant dimensions are left out. Shares of a whole, as of a logistic normal latent, are correlated by
    construction, by :math:`-1/(D-1)` on average if all vary alike, and their smallest eigenvalue is 0.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    ranks
        Correlate the ranks (Spearman), which withstand extreme cells.

    Returns
    -------
    FactorCorrelation, see there.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or has fewer than two cells.

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import factor_correlation
    >>> u, v = np.random.default_rng(0).normal(size=(2, 1000))
    >>> result = factor_correlation(np.column_stack([u, v, u]))
    >>> round(result.effective_dimensions, 1), round(float(result.correlation.loc[0, 2]), 6)
    (1.8, 1.0)
    """
    check_flag("ranks", ranks)
    values, dimensions, kept = parse_varying(Z)
    used, names = values[:, kept], dimensions[kept]
    sigma = covariance(column_ranks(used) if ranks else used)
    sd = np.sqrt(np.diag(sigma))
    R = np.clip(sigma / np.outer(sd, sd), -1.0, 1.0)
    np.fill_diagonal(R, 1.0)
    eigenvalues = np.maximum(np.linalg.eigvalsh(R)[::-1], 0.0)
    pairs = np.abs(R[np.triu_indices(len(R), k=1)])
    order = pd.RangeIndex(1, len(R) + 1, name="component")
    return FactorCorrelation(
        value=float(pairs.mean()) if pairs.size else 0.0,
        correlation=pd.DataFrame(R, index=names, columns=names),
        eigenvalues=pd.Series(eigenvalues, index=order, name="eigenvalue"),
        effective_dimensions=float(len(R) ** 2 / (R**2).sum()) if len(R) else 0.0,
        varies=pd.Series(kept, index=dimensions, name="varies"),
    )
