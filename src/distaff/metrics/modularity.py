"""Modularity: whether a dimension tells about one factor only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff.metrics._contract import parse
from distaff.metrics._dimension_score import summarise_dimensions
from distaff.metrics._factors import Kinds
from distaff.metrics._information import information
from distaff.metrics._score import Score

__all__ = ["modularity"]


def modularity(Z: Any, Y: Any, *, n_bins: int = 20, strategy: str = "quantile", kinds: Kinds = None) -> Score:
    r"""Modularity: how far each dimension tells about a single factor.

    .. math:: 1 - \frac{\sum_{k \ne k^*} J_{dk}^2}{(K - 1)\, J_{dk^*}^2} \qquad
              J_{dk} = I(z_d; y_k) - \frac{(B_d - 1)(L_k - 1)}{2 n_k}

    with :math:`k^*` the factor that dimension :math:`d` tells most about and :math:`K` factors; 1 for a
    single factor. :math:`I` is the information in nats between the :math:`B_d` bins of the dimension and the
    :math:`L_k` levels of the factor in :math:`n_k` cells, and what is taken off is its bias. :math:`J` is 0
    unless a likelihood ratio test and Pearson's test both find the information (level 0.001, all factors of
    a dimension together); with few cells they miss what is weak, and dimensions look purer than they are. A
    dimension counts as active if it tells about any factor.

    The published score has :math:`I` in place of :math:`J`. Its bias is that of a factor's levels: in 1,000
    cells 0.01 nats for two classes, 0.23 for 25, so that a dimension that knows a condition leans to the
    cell type and seems mixed. And the published mean takes all dimensions in: a constant one as 0, which
    punishes unused dimensions, and one of noise at what the bias makes of it.

    The score is blind to what the latent misses: one dimension that knows one factor is fully modular, and so
    are ten copies of it. Factors that overlap pull it down even for a perfect latent.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    n_bins
        Bins of each dimension, and of each continuous factor.
    strategy
        "quantile": bins of equal counts, safe from outliers. "uniform": bins of equal width, as published.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name. By default
        floats are continuous (binary if 0 and 1 are the only values), all else is categorical, and whole
        numbers with more than 50 different values must be declared.

    Returns
    -------
    Score, see there. ``value`` is the mean over active dimensions, 0 if there is none;
    ``summary["all_dimensions"]`` the published score. ``per_factor`` is the mean over the active dimensions
    that lean to the factor, 0 if none does. ``matrix`` holds :math:`J` in nats, ``per_dimension`` the score,
    0 where the dimension is not active.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or the kind of a factor is not clear.

    References
    ----------
    Ridgeway and Mozer (2018), :cite:p:`Ridgeway18`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import modularity
    >>> Y = np.random.default_rng(0).integers(0, 4, size=(2000, 2))
    >>> pure = modularity(Y, Y)
    >>> mixed = modularity(Y @ np.array([[1, 0], [1, 1]]), Y)
    >>> bool(pure.value > 0.99), bool(mixed.value < 0.8)
    (True, True)
    """
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    found = information(problem, n_bins=n_bins, strategy=strategy)
    known = ~np.isnan(found.entropy)
    nats = found.corrected * found.entropy
    published = _modularity((found.share * found.entropy)[:, known])
    active = np.asarray(found.significant.any(axis=1))
    return summarise_dimensions(
        "modularity",
        problem,
        nats,
        _modularity(nats[:, known]),
        active.astype(np.float64),
        params={"n_bins": n_bins, "strategy": strategy},
        details=found.details,
        summary={"all_dimensions": float(published.mean())},
    )


def _modularity(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """(dimensions,) of information (dimensions, factors); 0 where there is none, 1 if there is one factor."""
    n_dims, n_factors = nats.shape
    if n_factors == 0:
        return np.full(n_dims, np.nan)
    top = nats.max(axis=1)
    others = (nats**2).sum(axis=1) - top**2
    scores = 1.0 - others / (np.where(top > 0, top, 1.0) ** 2 * max(n_factors - 1, 1))
    return np.where(top > 0, scores, 0.0)
