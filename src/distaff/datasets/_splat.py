"""Pieces of the Splatter model :cite:p:`Zappia17`: pure functions of arrays and a generator.

A simulator draws library sizes, gene means and fold changes, mixes the programs into one mean for each
cell and gene, and hands these means, a few cells at a time, to ``sample_counts``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from distaff._checks import error
from distaff.datasets._counts import Floats, Integers, Scale, block_streams

__all__ = [
    "bcv_scale",
    "dispersion_factors",
    "drop_counts",
    "dropout_probability",
    "fold_changes",
    "gene_means",
    "library_sizes",
    "lognormal_fold_changes",
    "mixture_means",
    "profile",
]

MAX_LIBRARY = 1e9  # far beyond any experiment; keeps every draw within 64-bit integers


def library_sizes(rng: np.random.Generator, n_cells: int, *, loc: float, scale: float) -> Floats:
    """Expected total count of each cell, shape (cells,): log-normal."""
    sizes = rng.lognormal(loc, scale, n_cells)
    if not sizes.max() <= MAX_LIBRARY:
        rule = f"library sizes must be <= {MAX_LIBRARY:g} counts"
        raise error(
            rule,
            got=f"{sizes.max():g}",
            fix="Lower lib_loc or lib_scale (logarithms of counts).",
        )
    return sizes


def gene_means(
    rng: np.random.Generator,
    n_genes: int,
    *,
    shape: float,
    rate: float,
    out_prob: float,
    out_fac_loc: float,
    out_fac_scale: float,
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Mean of each gene, whether it is an outlier, and its factor (1 if it is none), each of shape (genes,).

    Means are gamma; an outlier's mean is the median of all means times a log-normal factor.
    """
    means = rng.gamma(shape, 1 / rate, n_genes)
    outlier = rng.random(n_genes) < out_prob
    factors = rng.lognormal(out_fac_loc, out_fac_scale, n_genes)
    with np.errstate(invalid="ignore"):  # 0 * inf; profile refuses what comes of it
        means = np.where(outlier, np.median(means) * factors, means)
    return means, outlier, np.where(outlier, factors, 1.0)


def fold_changes(draws: Floats, *, selected: NDArray[np.bool_], down: NDArray[np.bool_]) -> Floats:
    """Fold change of each gene: ``max(x, 1/x)``, its inverse if ``down``, 1 if not ``selected``."""
    with np.errstate(divide="ignore", over="ignore"):  # profile refuses infinite means
        up = np.maximum(draws, 1 / draws)
        return np.where(selected, np.where(down, 1 / up, up), 1.0)


def lognormal_fold_changes(
    rng: np.random.Generator, selected: NDArray[np.bool_], *, down_prob: float, loc: float, scale: float
) -> Floats:
    """Log-normal fold changes of the selected genes, shape (genes,), 1 elsewhere."""
    draws = rng.lognormal(loc, scale, selected.size)
    return fold_changes(draws, selected=selected, down=rng.random(selected.size) < down_prob)


def profile(base: Floats, fold: Floats) -> Floats:
    """Share of each gene in a program, shape (genes,), summing to 1, from base means and fold changes."""
    with np.errstate(over="ignore", invalid="ignore"):
        means = base * fold
        total = means.sum()
    if not (np.isfinite(total) and total > 0):
        raise error(
            "gene means must be finite with a positive sum",
            got=f"a sum of {total}",
            fix="Check mean_shape, mean_rate and the *_fac_loc and *_fac_scale (logarithms of factors).",
        )
    return means / total


def mixture_means(library: Floats, usage: Floats, profiles: Floats) -> Floats:
    """Mean count of each cell and gene, shape (cells, genes): ``library * (usage @ profiles)``.

    Parameters
    ----------
    library
        Expected total count, shape (cells,).
    usage
        Share of each program, shape (cells, programs), rows summing to 1.
    profiles
        Share of each gene in each program, shape (programs, genes), rows summing to 1.
    """
    # Not a matrix product: most usages are 0, and the rounding of BLAS depends on machine and threads.
    means = np.zeros((len(library), profiles.shape[1]))
    for weight, shares in zip((library[:, None] * usage).T, profiles, strict=True):
        users = np.flatnonzero(weight)
        means[users] += weight[users, None] * shares
    return means


def dispersion_factors(rng: np.random.Generator, n_genes: int, *, df: float) -> Floats:
    """``sqrt(df / chi-square(df))``, one draw a gene, shape (genes,); 1 if ``df`` is infinite."""
    if np.isinf(df):
        return np.ones(n_genes)
    return np.sqrt(df / rng.chisquare(df, n_genes))


def bcv_scale(bcv_common: float, factor: Floats) -> Scale:
    r"""Scale of the gamma rates, :math:`\theta = m b^2 = c_g^2 (1 + \phi \sqrt m)^2`.

    The biological coefficient of variation is :math:`b = c_g (\phi + m^{-1/2})`; in this form a mean of 0
    does no harm.

    Parameters
    ----------
    bcv_common
        :math:`\phi`, the coefficient of variation that all genes share.
    factor
        :math:`c_g`, shape (genes,).
    """

    def scale(m: Floats, gene: Integers) -> Floats:
        return (factor[gene] * (1 + bcv_common * np.sqrt(m))) ** 2

    return scale


def dropout_probability(rate: Floats, *, mid: Floats, shape: Floats) -> Floats:
    r"""Logistic curve of the log of the rate, :math:`1 / (1 + e^{-s (\log \lambda - x_0)})`, same shape."""
    with np.errstate(divide="ignore"):  # a rate of 0
        return expit(shape * (np.log(rate) - mid))


def drop_counts(
    seed: np.random.SeedSequence,
    X: csr_matrix,
    block_means: Callable[[slice], Floats],
    scale: Scale,
    *,
    mid: Floats,
    shape: Floats,
) -> csr_matrix:
    r"""Set counts to 0, each with its :func:`dropout_probability`.

    The gamma rate :math:`\lambda` behind a count :math:`x` of mean :math:`m` was never drawn, but given the
    count it is gamma again, with shape :math:`m / \theta + x` and scale :math:`\theta / (1 + \theta)`:
    drawing it now gives the same joint distribution, and a count of 0 needs none.

    Parameters
    ----------
    seed
        Parent of the streams, one a block of cells.
    X
        Counts, shape (cells, genes).
    block_means, scale
        What the counts were drawn with.
    mid, shape
        Of the logistic curve, shape (cells,).
    """
    keep = np.zeros(X.nnz, dtype=bool)
    for block, rng in block_streams(seed, X.shape[0]):
        part = X[block].tocoo()
        m = block_means(block)[part.row, part.col]
        theta = scale(m, part.col)
        rate = rng.gamma(m / theta + part.data, theta / (1 + theta))
        dropped = dropout_probability(rate, mid=mid[block][part.row], shape=shape[block][part.row])
        keep[X.indptr[block.start] : X.indptr[block.stop]] = rng.random(part.nnz) >= dropped
    kept = np.concatenate([[0], np.cumsum(keep)])
    return csr_matrix((X.data[keep], X.indices[keep], kept[X.indptr]), shape=X.shape)
