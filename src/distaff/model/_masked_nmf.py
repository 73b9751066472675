"""Non-negative matrix factorisation with loadings that a mask keeps at zero."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from distaff.ops.kernels.masked_nmf import divergence, update_loadings, update_scores

__all__ = ["masked_nmf"]

N_BETWEEN = 10  # updates between two looks at the divergence
TOLERANCE = 1e-3  # least gain between two looks, as a share of the first value


def masked_nmf(
    X: sparse.csr_matrix, mask: np.ndarray, *, n_iterations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""Scores W and loadings H, :math:`X \approx W H^\top`, of least generalised Kullback-Leibler divergence.

    Multiplicative updates :cite:p:`Lee01`, as in scikit-learn, whose time and memory are those of all
    factors: here a count costs the number of factors that its gene is in.

    Parameters
    ----------
    X
        Non-negative values (cells, genes), float32.
    mask
        Not zero where a loading may be, (genes, factors).
    n_iterations
        Updates at most; they end earlier once the divergence stops falling.
    seed
        Seed of the start.

    Returns
    -------
    Scores (cells, factors) and loadings (genes, factors), float32.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> X = sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]], dtype=np.float32))
    >>> scores, loadings = masked_nmf(X, np.array([[1, 0], [1, 0], [0, 1]]), n_iterations=50, seed=0)
    >>> (scores @ loadings.T).round(2).tolist()
    [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    rng = np.random.default_rng(seed)
    genes, factors = np.nonzero(mask)
    n_factors = mask.shape[1]
    scale = np.sqrt(X.mean() / n_factors)
    scores = (scale * rng.uniform(0.5, 1.5, (n_factors, X.shape[0]))).astype(np.float32)
    loadings = (scale * rng.uniform(0.5, 1.5, len(genes))).astype(np.float32)
    starts = np.searchsorted(genes, np.arange(X.shape[1] + 1))
    by_gene = X.tocsc()
    state = by_gene.indptr, by_gene.indices.view(np.uint32), by_gene.data, starts, factors, loadings
    first = last = None
    for step in range(n_iterations):
        if step % N_BETWEEN == 0:
            now = _root_divergence(X, divergence(*state, scores), scores, _sums(factors, loadings, n_factors))
            first = now if first is None else first
            if last is not None and last - now < TOLERANCE * first:
                break
            last = now
        update_scores(*state, _least(_sums(factors, loadings, n_factors)), scores)
        update_loadings(*state, _least(scores.sum(axis=1, dtype=np.float64)), scores)
    found = np.zeros(mask.shape, np.float32)
    found[genes, factors] = loadings
    return scores.T, found


def _sums(factors: np.ndarray, loadings: np.ndarray, n_factors: int) -> np.ndarray:
    return np.bincount(factors, loadings, minlength=n_factors)


def _least(sums: np.ndarray) -> np.ndarray:
    """Sums that one can divide by."""
    return np.maximum(sums, np.finfo(np.float32).eps).astype(np.float32)


def _root_divergence(X: sparse.csr_matrix, logs: float, scores: np.ndarray, sums: np.ndarray) -> float:
    """Root of twice the divergence, as scikit-learn looks at it."""
    fitted = float(scores.sum(axis=1, dtype=np.float64) @ sums)
    return float(np.sqrt(max(0.0, 2.0 * (logs + fitted - float(X.data.sum(dtype=np.float64))))))
