"""Dimensions that carry anything at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from distaff._checks import check_flag, check_number, error
from distaff.metrics._contract import parse_latent
from distaff.metrics._covariance import adds_up_to_one

__all__ = ["ActiveUnits", "active_units"]


@dataclass(frozen=True, eq=False)
class ActiveUnits:
    """Active dimensions; ``int(result)`` is their number.

    Parameters
    ----------
    value
        Number of active dimensions.
    active
        (dimensions,) whether the dimension is active.
    variance
        (dimensions,) variance of its posterior mean over cells.
    threshold
        Variance above which a dimension is active, as applied.
    """

    value: int
    active: pd.Series
    variance: pd.Series
    threshold: float

    def __int__(self) -> int:
        return self.value


def active_units(mu: Any, *, threshold: float = 0.01, simplex: bool | None = None) -> ActiveUnits:
    r"""Number of dimensions whose posterior mean varies, :math:`\mathrm{Var}_x(E_q[z_d|x]) > 0.01`.

    The threshold is made for a standard normal prior; a representation on another scale needs another one.
    Shares of a whole, as of a logistic normal latent, are near :math:`1/D` each: there the threshold counts
    in units of :math:`1/D^2`.

    Parameters
    ----------
    mu
        (cells, dimensions) posterior means, not samples: the product of inclusion probability and mean for
        a spike-and-slab latent, the mean of the softmax for a logistic normal one.
    threshold
        Variance above which a dimension is active, in units of :math:`1/D^2` for a simplex.
    simplex
        Whether each row holds shares of a whole. None: where no value is negative and all rows have the same
        sum of 1.

    Returns
    -------
    ActiveUnits, see there.

    Raises
    ------
    ValueError
        If ``mu`` is not finite or has fewer than two cells, or ``simplex`` is True and the rows do not add up
        to 1.

    References
    ----------
    Burda et al. (2016), :cite:p:`Burda16`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import active_units
    >>> mu = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 0.001, 0.5]
    >>> active_units(mu).value
    2
    """
    check_number("threshold", threshold, minimum=0)
    values, dimensions = parse_latent(mu)
    if len(values) < 2:
        raise error("mu must have at least two cells", got=len(values))
    found = adds_up_to_one(values)
    if simplex is not None and check_flag("simplex", simplex) and not found:
        raise error(
            "Rows of a simplex must be shares that add up to 1",
            got=f"sums from {values.sum(axis=1).min():.6g} to {values.sum(axis=1).max():.6g}",
            fix="Pass the softmax of the latent.",
        )
    cut = float(threshold)
    if found if simplex is None else simplex:
        cut /= values.shape[1] ** 2
    variance = pd.Series(values.var(axis=0, ddof=1), index=dimensions, name="variance")
    active = (variance > cut).rename("active")
    return ActiveUnits(int(active.sum()), active, variance, cut)
