"""Negative binomial counts around given means, a few cells at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = [
    "BLOCK_CELLS",
    "Floats",
    "Integers",
    "Scale",
    "block_streams",
    "negative_binomial",
    "sample_counts",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# From means above 0 and the positions of their genes to the scales of the gamma rates.
Scale = Callable[[Floats, Integers], Floats]

# Cells that share one random stream. The counts depend on it, so it is a constant and no option:
# 64 cells of 25,000 genes are 13 MB an array.
BLOCK_CELLS = 64

# Above this mean a gamma and a Poisson draw are cheaper than the sum of many clusters.
LARGE_MEAN = 10.0


def negative_binomial(rng: np.random.Generator, means: Floats, scale: Scale) -> tuple[Integers, Integers]:
    r"""Draw counts around the means; return the flat positions and values of those above 0.

    A count is Poisson with a gamma rate of mean :math:`m`, scale :math:`\theta > 0` and so of shape
    :math:`m / \theta`. Hence it is negative binomial, and so the sum of :math:`N` logarithmic variables,
    where :math:`N` is Poisson with mean

    .. math:: \Lambda = \frac{m}{\theta} \log(1 + \theta).

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
    scale
        Gives :math:`\theta` of some means and their genes.
    """
    arrival = rng.standard_exponential(means.shape)
    position = np.flatnonzero((arrival < means) | (means > LARGE_MEAN))
    m = means.ravel()[position]
    theta = scale(m, position % means.shape[1])

    counts = np.zeros(len(position), dtype=np.int64)
    large = m > LARGE_MEAN
    counts[large] = rng.poisson(rng.gamma(m[large] / theta[large], theta[large]))

    log_theta = np.log1p(theta)
    excess = m / theta * log_theta - arrival.ravel()[position]
    hit = np.flatnonzero(~large & (excess > 0))
    counts[hit] = _clusters(rng, excess[hit], log_theta[hit])

    above = counts > 0
    return position[above], counts[above]


def _clusters(rng: np.random.Generator, excess: Floats, log_theta: Floats) -> Integers:
    """Sums of ``1 + Poisson(excess)`` logarithmic variables with parameter ``1 - exp(-log_theta)``."""
    if not len(excess):  # reduceat needs an entry
        return np.zeros(0, dtype=np.int64)
    n = 1 + rng.poisson(excess)
    # a logarithmic variable is geometric with success probability (1 - q)^U, U uniform (Kemp, 1981)
    sizes = rng.geometric(np.exp(-rng.random(n.sum()) * np.repeat(log_theta, n)))
    return np.add.reduceat(sizes, np.cumsum(n) - n)


def block_streams(seed: np.random.SeedSequence, n_cells: int) -> Iterator[tuple[slice, np.random.Generator]]:
    """Blocks of :data:`BLOCK_CELLS` cells, each with a random stream of its own."""
    starts = range(0, n_cells, BLOCK_CELLS)
    for start, child in zip(starts, seed.spawn(len(starts)), strict=True):
        yield slice(start, min(start + BLOCK_CELLS, n_cells)), np.random.default_rng(child)


def sample_counts(
    seed: np.random.SeedSequence,
    block_means: Callable[[slice], Floats],
    scale: Scale,
    *,
    n_cells: int,
    n_genes: int,
) -> csr_matrix:
    """Draw the counts of all cells, shape (cells, genes), float32 with whole values.

    Parameters
    ----------
    seed
        Parent of the streams, one a block of cells.
    block_means
        Gives the means of a slice of cells, shape (cells in the slice, genes).
    scale
        See :func:`negative_binomial`.
    n_cells, n_genes
        Numbers of cells and genes.
    """
    genes, values, row_sizes = [], [], []
    for block, rng in block_streams(seed, n_cells):
        means = block_means(block)
        position, counts = negative_binomial(rng, means, scale)
        cell, gene = np.divmod(position, n_genes)
        genes.append(gene.astype(np.int32))
        values.append(counts.astype(np.float32))
        row_sizes.append(np.bincount(cell, minlength=len(means)))
    data = np.concatenate(values)
    values.clear()  # frees half of the pieces before the other half is copied
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(row_sizes))])
    return csr_matrix((data, np.concatenate(genes), indptr), shape=(n_cells, n_genes))
