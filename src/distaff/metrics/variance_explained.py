"""How the variance of the latent is shared out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, listing, real_values
from distaff.metrics._covariance import covariance, parse_varying

__all__ = ["VarianceExplained", "variance_explained"]


@dataclass(frozen=True, eq=False)
class VarianceExplained:
    """Shares of variance; ``float(result)`` is that of the first component.

    Parameters
    ----------
    value
        Share of the largest eigenvalue; 0 if nothing varies.
    components
        (dimensions,) eigenvalues of the covariance as shares of their sum, largest first. A component is
        a direction of the latent, not one of its dimensions.
    eigenvalues
        (dimensions,) the same in squared units of the latent.
    per_dimension
        (dimensions,) share of each dimension in the variance that reaches the genes; None without loadings.
    """

    value: float
    components: pd.Series
    eigenvalues: pd.Series
    per_dimension: pd.Series | None

    def __float__(self) -> float:
        return self.value


def variance_explained(Z: Any, loadings: Any = None) -> VarianceExplained:
    r"""Variance along the main directions of the latent and, with loadings, of each dimension.

    The components are :math:`\lambda_i / \sum_j \lambda_j` with the eigenvalues of the covariance of ``Z``.
    The share of dimension :math:`d` is

    .. math:: \frac{\mathrm{Var}(z_d)\,\lVert L_d \rVert^2}{\sum_j \mathrm{Var}(z_j)\,\lVert L_j \rVert^2}

    where each column :math:`L_d` of the loadings is centred over genes first, since a softmax ignores
    a constant. It does not depend on the scale of a dimension, and counts what correlated dimensions share
    for each of them.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    loadings
        (genes, dimensions) effect of one unit of each dimension; None to leave ``per_dimension`` out.

    Returns
    -------
    VarianceExplained, see there.

    Raises
    ------
    ValueError
        If ``Z`` or ``loadings`` is not finite, ``Z`` has fewer than two cells, or their dimensions differ.

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import variance_explained
    >>> Z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> variance_explained(Z, loadings=[[3.0, 1.0], [1.0, 3.0], [5.0, 2.0]]).per_dimension.round(1).tolist()
    [0.8, 0.2]
    """
    values, dimensions, kept = parse_varying(Z)
    sigma = covariance(np.where(kept, values, 0.0))
    eigenvalues = np.maximum(np.linalg.eigvalsh(sigma)[::-1], 0.0)
    order = pd.RangeIndex(1, len(eigenvalues) + 1, name="component")
    shares = pd.Series(_shares(eigenvalues), index=order, name="variance_explained")
    per_dimension = None
    if loadings is not None:
        strength = np.diag(sigma) * _squared_norms(loadings, dimensions)
        per_dimension = pd.Series(_shares(strength), index=dimensions, name="variance_explained")
    return VarianceExplained(
        value=float(shares.iloc[0]),
        components=shares,
        eigenvalues=pd.Series(eigenvalues, index=order, name="eigenvalue"),
        per_dimension=per_dimension,
    )


def _shares(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = amounts.sum()
    return amounts / total if total > 0 else np.zeros_like(amounts)


def _squared_norms(loadings: Any, dimensions: pd.Index) -> NDArray[np.float64]:
    """(dimensions,) of the columns, centred over genes."""
    L = real_values("loadings", loadings)
    if L.ndim != 2 or L.shape[1] != len(dimensions) or len(L) == 0:
        raise error(
            f"loadings must be (genes, {len(dimensions)}), a column a dimension", got=f"shape {L.shape}"
        )
    named = isinstance(loadings, pd.DataFrame) and not isinstance(dimensions, pd.RangeIndex)
    if named and not loadings.columns.equals(dimensions):
        raise error(
            "Columns of loadings must be the dimensions of Z, in the same order",
            got=listing(loadings.columns),
            fix=f"The dimensions are {listing(dimensions)}.",
        )
    if not np.isfinite(L).all():
        raise error("loadings must be finite", got=f"{int((~np.isfinite(L)).sum())} values that are not")
    return ((L - L.mean(axis=0)) ** 2).sum(axis=0)
