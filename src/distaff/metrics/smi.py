"""Scaled mutual information."""

from __future__ import annotations

from typing import Any

from distaff.metrics._contract import parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import information
from distaff.metrics._score import Score

__all__ = ["smi"]


def smi(Z: Any, Y: Any, *, n_bins: int = 10, strategy: str = "quantile", kinds: Kinds = None) -> Score:
    r"""Scaled mutual information :math:`I(z_d; y_k) / H(y_k)` of each pair; the best dimension counts.

    A factor with more than two classes is split into one factor a class, "factor: class". Pass the
    result to :func:`distaff.metrics.lms`, :func:`distaff.metrics.msas` or :func:`distaff.metrics.msgs` for
    the aggregations over dimensions. The published form is ``strategy="uniform"`` on classes.

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
    Score, see there. ``details`` holds ``entropy`` in nats and ``bias``, what an independent
    dimension would get.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or the kind of a factor is not clear.

    References
    ----------
    Moinfar and Theis (2024), :cite:p:`Moinfar24`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import smi
    >>> cell_type = np.repeat(["B", "NK", "T"], 300)
    >>> Z = np.random.default_rng(0).normal(size=(900, 2))
    >>> Z[:, 0] += 10 * (cell_type == "NK")
    >>> smi(Z, cell_type).best_dimension["y1: NK"]
    0
    """
    problem = parse(Z, Y, kinds, one_vs_rest=True)
    found = information(problem, n_bins=n_bins, strategy=strategy)
    return summarise(
        "smi",
        problem,
        found.share,
        found.share.max(axis=0),
        params={"n_bins": n_bins, "strategy": strategy},
        details=found.details,
    )
