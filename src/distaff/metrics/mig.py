"""Mutual information gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from distaff.metrics._contract import parse, summarise
from distaff.metrics._factors import Kinds
from distaff.metrics._information import information
from distaff.metrics._score import Score

__all__ = ["mig"]


def mig(Z: Any, Y: Any, *, n_bins: int = 20, strategy: str = "quantile", kinds: Kinds = None) -> Score:
    r"""Mutual information gap: how far one dimension leads in telling about a factor.

    .. math:: \mathrm{MIG}_k = \frac{I(z_{(1)}; y_k) - I(z_{(2)}; y_k)}{H(y_k)}

    with the dimensions sorted by their information on factor :math:`k`; the score is the mean over factors.
    With a single dimension the second term is 0. A latent with one live dimension can have the best gap of
    all: read it beside a score of one-to-one correspondence such as :func:`distaff.metrics.lms`.

    Information is not corrected for the bias of its bins. That is the same for all dimensions but those with
    many equal values, which fill fewer bins: beside dimensions of noise with all bins, a sparse dimension
    that tells a little about a factor may come second.

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
    Score, see there. ``matrix`` holds :math:`I/H`; ``details`` holds ``entropy`` in nats and
    ``bias``, what an independent dimension with all its bins filled would get.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or the kind of a factor is not clear.

    References
    ----------
    Chen et al. (2018), :cite:p:`Chen18`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import mig
    >>> cell_type = np.repeat(["B", "T"], 500)
    >>> Z = np.random.default_rng(0).normal(size=(1000, 3))
    >>> Z[:, 2] += 10 * (cell_type == "B")
    >>> score = mig(Z, cell_type)
    >>> bool(score.value > 0.95), score.best_dimension["y1"]
    (True, 2)
    """
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    found = information(problem, n_bins=n_bins, strategy=strategy)
    # a dimension of zeros beside the rest: the runner-up of a single dimension
    ranked = np.sort(np.vstack([found.share, np.zeros(len(problem.factors))]), axis=0)
    return summarise(
        "mig",
        problem,
        found.share,
        ranked[-1] - ranked[-2],
        params={"n_bins": n_bins, "strategy": strategy},
        details=found.details,
    )
