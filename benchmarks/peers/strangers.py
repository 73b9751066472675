"""Simulations that the package does not have, written when all methods and defaults stood.

Each returns counts (cells, genes) and the usages (cells, programs) that are to be found. Parameters were set
once, before any method saw the counts.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["gamma_programs", "multiplicative", "topics"]

N_PROGRAMS = 8
DEPTH = np.log(2500.0)  # of a typical cell
Counts = tuple[sparse.csr_matrix, np.ndarray]


def gamma_programs(seed: int, n_cells: int, n_genes: int) -> Counts:
    """Programs of many genes that add up, each with little or much use in most cells; Poisson."""
    rng = np.random.default_rng(seed)
    usage = rng.gamma(0.4, 1.0, (n_cells, N_PROGRAMS))
    loadings = rng.gamma(0.25, 1.0, (N_PROGRAMS, n_genes)) * rng.lognormal(0.0, 1.0, n_genes)
    rate = usage @ loadings + 0.05 * loadings.mean(axis=0)
    return _poisson(rng, rate / rate.sum(axis=1, keepdims=True)), usage


def topics(seed: int, n_cells: int, n_genes: int) -> Counts:
    """A topic model: shares of programs from a Dirichlet, a fifth of each cell common to all; Poisson."""
    rng = np.random.default_rng(seed)
    usage = rng.dirichlet(np.full(N_PROGRAMS, 0.15), n_cells)
    genes = rng.dirichlet(np.full(n_genes, 0.08), N_PROGRAMS)
    return _poisson(rng, 0.8 * usage @ genes + 0.2 * genes.mean(axis=0)), usage


def multiplicative(seed: int, n_cells: int, n_genes: int) -> Counts:
    """Programs that are off in most cells and multiply the expression of 6 % of the genes; gamma-Poisson."""
    rng = np.random.default_rng(seed)
    usage = (rng.random((n_cells, N_PROGRAMS)) < 0.3) * rng.uniform(0.5, 1.5, (n_cells, N_PROGRAMS))
    has = rng.random((N_PROGRAMS, n_genes)) < 0.06
    effects = np.where(has, rng.normal(1.3, 0.4, has.shape), 0.0)
    rate = np.exp(usage @ effects + rng.normal(0.0, 1.2, n_genes))
    share = rate / rate.sum(axis=1, keepdims=True)
    return _poisson(rng, share * rng.gamma(3.0, 1.0 / 3.0, rate.shape)), usage


def _poisson(rng: np.random.Generator, share: np.ndarray) -> sparse.csr_matrix:
    depth = rng.lognormal(DEPTH, 0.4, (len(share), 1))
    return sparse.csr_matrix(rng.poisson(share * depth).astype(np.float32))
