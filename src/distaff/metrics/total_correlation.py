"""Total correlation of the latent under a Gaussian model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma

from distaff._checks import check_flag
from distaff.metrics._contract import NEGLIGIBLE_VARIANCE, warn
from distaff.metrics._covariance import adds_up_to_one, covariance, normal_scores, parse_varying

__all__ = ["TotalCorrelation", "total_correlation"]


@dataclass(frozen=True, eq=False)
class TotalCorrelation:
    """Dependence among the dimensions, lower is better; ``float(result)`` is its value.

    Parameters
    ----------
    value
        Total correlation in nats; 0 for fewer than two dimensions that vary.
    wasserstein
        Squared 2-Wasserstein distance between the Gaussian and the product of its marginals, in squared units
        of the latent.
    wasserstein_share
        The same as a share of the total variance, from 0 to 2.
    bias
        What independent Gaussian dimensions would get on average from so many cells, in nats.
    varies
        (dimensions,) whether the dimension varies; the others are left out.
    simplex
        Whether rows are shares of a whole, so that one dimension at a time was left out.
    n_cells
        Cells used.
    """

    value: float
    wasserstein: float
    wasserstein_share: float
    bias: float
    varies: pd.Series
    simplex: bool
    n_cells: int

    def __float__(self) -> float:
        return self.value


def total_correlation(Z: Any, *, ranks: bool = False) -> TotalCorrelation:
    r"""Total correlation of a Gaussian with the covariance :math:`\Sigma` of the latent.

    .. math::
        \mathrm{TC} = \tfrac12 \Big(\sum_d \ln \Sigma_{dd} - \ln\det \Sigma\Big), \qquad
        W = 2 \operatorname{tr} \Sigma - 2 \operatorname{tr} (\Sigma D)^{1/2}

    with :math:`D` the diagonal of :math:`\Sigma`. Constant dimensions are left out. Shares of a whole, as
    of a logistic normal latent, have a singular covariance whatever they stand for: there TC is the mean
    over the latents with one dimension left out (their determinants are the same), and W is taken as it is.
    Another exact linear dependence makes TC infinite, with a warning; W stays finite.

    TC of a sample lies above that of the population: compare it with ``bias``. Covariances follow extreme
    cells; ``ranks`` does not.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    ranks
        Replace each dimension by normal quantiles of its ranks first. It leaves the total correlation of
        a Gaussian as it is, since that does not depend on the scale of a dimension, and withstands outliers.

    Returns
    -------
    TotalCorrelation, see there. NaN, with a warning, if there are no more cells than varying dimensions.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or has fewer than two cells.

    References
    ----------
    Watanabe (1960), :cite:p:`Watanabe60`; Locatello et al. (2019), :cite:p:`Locatello19`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import total_correlation
    >>> Z = np.random.default_rng(0).normal(size=(5000, 2)) @ [[1, 0.9], [0, 0.19**0.5]]
    >>> round(float(total_correlation(Z)), 1)  # -ln(1 - 0.9**2) / 2 = 0.83
    0.8
    """
    check_flag("ranks", ranks)
    values, dimensions, kept = parse_varying(Z)
    n_cells, used = len(values), values[:, kept]
    simplex = adds_up_to_one(values)
    value = distance = bias = float("nan")
    scored = normal_scores(used) if ranks else used
    sigma = covariance(scored)
    n_dims = used.shape[1] - int(simplex)
    if n_cells <= used.shape[1]:
        warn(
            f"total_correlation is undefined (NaN): {n_cells} cells for {used.shape[1]} dimensions. "
            "It takes more cells than dimensions that vary."
        )
    else:
        value = _simplex_tc(sigma) if simplex else _gaussian_tc(sigma)
        distance = _wasserstein(sigma)
        bias = _expected_tc(n_cells, n_dims)
    if value == np.inf:
        warn(
            "total_correlation is infinite: some dimensions are exact linear combinations of the others. "
            "See wasserstein, which is finite."
        )
    return TotalCorrelation(
        value=value,
        wasserstein=distance,
        wasserstein_share=distance / np.trace(sigma) if used.size else 0.0,
        bias=bias,
        varies=pd.Series(kept, index=dimensions, name="varies"),
        simplex=simplex,
        n_cells=n_cells,
    )


def _gaussian_tc(sigma: NDArray[np.float64]) -> float:
    """Minus half the log determinant of the correlations; infinite if they are singular."""
    if len(sigma) < 2:
        return 0.0
    sd = np.sqrt(np.diag(sigma))
    eigenvalues = np.linalg.eigvalsh(sigma / np.outer(sd, sd))
    if eigenvalues[0] <= NEGLIGIBLE_VARIANCE * eigenvalues[-1]:
        return float("inf")
    return max(-0.5 * float(np.log(eigenvalues).sum()), 0.0)


def _simplex_tc(sigma: NDArray[np.float64]) -> float:
    """Mean over the dimension that is left out."""
    everything = np.arange(len(sigma))
    parts = [np.delete(everything, d) for d in everything]
    return float(np.mean([_gaussian_tc(sigma[np.ix_(part, part)]) for part in parts])) if parts else 0.0


def _wasserstein(sigma: NDArray[np.float64]) -> float:
    sd = np.sqrt(np.diag(sigma))
    eigenvalues = np.linalg.eigvalsh(sigma * np.outer(sd, sd))  # of (sigma D), in a symmetric form
    return max(2.0 * float(np.trace(sigma) - np.sqrt(np.maximum(eigenvalues, 0.0)).sum()), 0.0)


def _expected_tc(n_cells: int, n_dims: int) -> float:
    """Exact for independent Gaussian dimensions, from the mean log determinant of a Wishart matrix."""
    freedom = n_cells - 1
    steps = (freedom - np.arange(max(n_dims, 0))) / 2.0
    return 0.5 * float((digamma(freedom / 2.0) - digamma(steps)).sum())
