"""Pieces of the Splatter model :cite:p:`Zappia17`: pure functions of arrays and a generator.

A simulator draws library sizes, gene means and fold changes, mixes the programs into one mean for each
cell and gene, and hands these means, a few cells at a time, to :func:`sample_counts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from distaff._checks import check_int, check_number, error

__all__ = [
    "check_group_prob",
    "check_parameters",
    "check_seed",
    "dispersion_factors",
    "fold_changes",
    "gamma_poisson",
    "gene_means",
    "library_sizes",
    "lognormal_fold_changes",
    "mixture_means",
    "profile",
    "sample_counts",
]

Floats = NDArray[np.float64]

# Cells that share one random stream. The counts depend on it, so it is a constant and no option:
# 64 cells of 25,000 genes are 13 MB an array.
BLOCK_CELLS = 64

# Above this mean a gamma and a Poisson draw are cheaper than the sum of many clusters.
LARGE_MEAN = 10.0

MAX_LIBRARY = 1e9  # far beyond any experiment; keeps every draw within 64-bit integers

PROBABILITY = {"minimum": 0.0, "maximum": 1.0}

# Valid values of Splatter's and scsim's parameters (other real parameters need only be finite).
LIMITS: dict[str, dict[str, float]] = {
    "mean_shape": {"above": 0.0},
    "mean_rate": {"above": 0.0},
    "lib_loc": {},
    "lib_scale": {"minimum": 0.0},
    "out_prob": PROBABILITY,
    "out_fac_loc": {},
    "out_fac_scale": {"minimum": 0.0},
    "de_prob": PROBABILITY,
    "de_down_prob": PROBABILITY,
    "de_fac_loc": {},
    "de_fac_scale": {"minimum": 0.0},
    "bcv_common": {"minimum": 0.0},
    "prog_down_prob": PROBABILITY,
    "prog_fac_loc": {},
    "prog_fac_scale": {"minimum": 0.0},
    "prog_cell_frac": PROBABILITY,
    "min_prog_usage": PROBABILITY,
    "max_prog_usage": PROBABILITY,
}


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters as floats if each lies within its limits."""
    checked = {
        name: check_number(name, parameters[name], **LIMITS[name]) for name in LIMITS if name in parameters
    }
    if "bcv_df" in parameters:
        checked["bcv_df"] = _check_bcv_df(parameters["bcv_df"])
    return checked


def _check_bcv_df(bcv_df: Any) -> float:
    if isinstance(bcv_df, float | np.floating) and bcv_df == np.inf:
        return float(np.inf)
    df = check_number("bcv_df", bcv_df)
    if df <= 2:
        raise error(
            "bcv_df must be > 2",
            got=bcv_df,
            fix="Below that the variance of the counts is infinite; inf gives all genes the same dispersion.",
        )
    return df


def check_seed(random_state: int) -> int:
    """Return the seed if it is a whole number that a file can store."""
    seed = check_int("random_state", random_state, minimum=0)
    if seed >= 2**63:  # numpy takes more, but HDF5 and Zarr hold no larger integer
        raise error("random_state must be < 2**63", got=seed)
    return seed


def check_group_prob(group_prob: Sequence[float] | None, *, n_groups: int, groups: str) -> Floats:
    """Return the probability of each group, shape (groups,); ``groups`` is the argument that counts them."""
    if group_prob is None:
        return np.full(n_groups, 1 / n_groups)
    if np.ndim(group_prob) != 1:
        raise error("group_prob must be a sequence of probabilities", got=repr(group_prob), kind=TypeError)
    prob = np.array([check_number("group_prob", p, **PROBABILITY) for p in group_prob])
    if len(prob) != n_groups:
        rule = f"group_prob must have one entry for each of {groups}={n_groups}"
        raise error(rule, got=f"{len(prob)} entries")
    if not np.isclose(prob.sum(), 1):
        raise error("group_prob must sum to 1", got=prob.sum())
    return prob / prob.sum()


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
) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean of each gene and whether it is an outlier, both of shape (genes,).

    Means are gamma; an outlier's mean is the median of all means times a log-normal factor.
    """
    means = rng.gamma(shape, 1 / rate, n_genes)
    outlier = rng.random(n_genes) < out_prob
    factors = rng.lognormal(out_fac_loc, out_fac_scale, n_genes)
    with np.errstate(invalid="ignore"):  # 0 * inf; profile refuses what comes of it
        return np.where(outlier, np.median(means) * factors, means), outlier


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


def gamma_poisson(
    rng: np.random.Generator, means: Floats, *, bcv_common: float, bcv_factor: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    r"""Draw counts around the means; return the flat positions and values of those above 0.

    With the biological coefficient of variation :math:`b = c_g (\phi + m^{-1/2})` a count is Poisson with a
    gamma rate of shape :math:`b^{-2}` and mean :math:`m`. Hence it is negative binomial, and so the sum of
    :math:`N` logarithmic variables, where :math:`N` is Poisson with mean

    .. math:: \Lambda = \frac{m}{w^2} \log(1 + w^2), \qquad w^2 = m b^2 = c_g^2 (1 + \phi \sqrt m)^2.

    This is the same distribution and needs one exponential variable :math:`T`, the first arrival of a
    Poisson process, for each of the many zeros: :math:`N = 0` if :math:`T \ge \Lambda`, otherwise
    :math:`N - 1` is Poisson with mean :math:`\Lambda - T`. As :math:`\Lambda \le m`, entries with
    :math:`T \ge m` need no more. A mean of 0 has :math:`\Lambda = 0` and a count of 0.

    Parameters
    ----------
    rng
        Source of randomness.
    means
        Mean counts :math:`m`, shape (cells, genes).
    bcv_common
        :math:`\phi`, the coefficient of variation that all genes share.
    bcv_factor
        :math:`c_g`, shape (genes,).
    """
    arrival = rng.standard_exponential(means.shape)
    position = np.flatnonzero((arrival < means) | (means > LARGE_MEAN))
    m = means.ravel()[position]
    w2 = (bcv_factor[position % means.shape[1]] * (1 + bcv_common * np.sqrt(m))) ** 2

    counts = np.zeros(len(position), dtype=np.int64)
    large = m > LARGE_MEAN
    counts[large] = rng.poisson(rng.gamma(m[large] / w2[large], w2[large]))

    log_w2 = np.log1p(w2)
    excess = m / w2 * log_w2 - arrival.ravel()[position]
    hit = np.flatnonzero(~large & (excess > 0))
    counts[hit] = _clusters(rng, excess[hit], log_w2[hit])

    above = counts > 0
    return position[above], counts[above]


def _clusters(rng: np.random.Generator, excess: Floats, log_w2: Floats) -> NDArray[np.int64]:
    """Sums of ``1 + Poisson(excess)`` logarithmic variables with parameter ``1 - exp(-log_w2)``."""
    if not len(excess):  # reduceat needs an entry
        return np.zeros(0, dtype=np.int64)
    n = 1 + rng.poisson(excess)
    # a logarithmic variable is geometric with success probability (1 - q)^U, U uniform (Kemp, 1981)
    sizes = rng.geometric(np.exp(-rng.random(n.sum()) * np.repeat(log_w2, n)))
    return np.add.reduceat(sizes, np.cumsum(n) - n)


def sample_counts(
    seed: np.random.SeedSequence,
    block_means: Callable[[slice], Floats],
    *,
    n_cells: int,
    bcv_common: float,
    bcv_factor: Floats,
) -> csr_matrix:
    """Draw the counts of all cells, shape (cells, genes), float32 with whole values.

    Parameters
    ----------
    seed
        Parent of the streams, one for each :data:`BLOCK_CELLS` cells.
    block_means
        Gives the means of a slice of cells, shape (cells in the slice, genes).
    n_cells
        Number of cells.
    bcv_common, bcv_factor
        See :func:`gamma_poisson`.
    """
    n_genes = len(bcv_factor)
    starts = range(0, n_cells, BLOCK_CELLS)
    genes, values, row_sizes = [], [], []
    for start, child in zip(starts, seed.spawn(len(starts)), strict=True):
        means = block_means(slice(start, min(start + BLOCK_CELLS, n_cells)))
        rng = np.random.default_rng(child)
        position, counts = gamma_poisson(rng, means, bcv_common=bcv_common, bcv_factor=bcv_factor)
        cell, gene = np.divmod(position, n_genes)
        genes.append(gene.astype(np.int32))
        values.append(counts.astype(np.float32))
        row_sizes.append(np.bincount(cell, minlength=len(means)))
    data = np.concatenate(values)
    values.clear()  # frees half of the pieces before the other half is copied
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(row_sizes))])
    return csr_matrix((data, np.concatenate(genes), indptr), shape=(n_cells, n_genes))
