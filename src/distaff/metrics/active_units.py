"""Dimensions that carry anything at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from distaff._checks import check_number, error
from distaff.metrics._contract import parse_latent

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
        Variance above which a dimension is active.
    """

    value: int
    active: pd.Series
    variance: pd.Series
    threshold: float

    def __int__(self) -> int:
        return self.value


def active_units(mu: Any, *, threshold: float = 0.01) -> ActiveUnits:
    r"""Number of dimensions whose posterior mean varies, :math:`\mathrm{Var}_x(E_q[z_d|x]) > 0.01`.

    The threshold is made for a standard normal prior; a representation on another scale needs another one.

    Parameters
    ----------
    mu
        (cells, dimensions) posterior means, not samples.
    threshold
        Variance above which a dimension is active.

    Returns
    -------
    ActiveUnits, see there.

    Raises
    ------
    ValueError
        If ``mu`` is not finite or has fewer than two cells.

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
    variance = pd.Series(values.var(axis=0, ddof=1), index=dimensions, name="variance")
    active = (variance > threshold).rename("active")
    return ActiveUnits(int(active.sum()), active, variance, float(threshold))
