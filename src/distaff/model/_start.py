"""A start from a matrix factorisation of log-normalised counts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.decomposition import NMF, PCA, FastICA
from sklearn.exceptions import ConvergenceWarning

from distaff._checks import error
from distaff.model._masked_nmf import masked_nmf

__all__ = ["NON_NEGATIVE_STARTS", "STARTS", "Start", "factorise", "log_normalise"]

NON_NEGATIVE_STARTS = ("nmf", "nmf_kl")
STARTS = (*NON_NEGATIVE_STARTS, "ica", "pca")
TARGET_SUM = 1e4  # counts a cell after normalisation
N_ITERATIONS = 200
MEAN_SCORE = 0.7  # of a non-negative start: where softplus is neither flat nor linear


@dataclass(frozen=True)
class Start:
    """Scores and loadings whose product approximates log-normalised expression.

    Parameters
    ----------
    scores
        Scores, shape (cells, factors).
    loadings
        Loadings, shape (genes, factors).
    gene_means
        Mean of each gene's share of the counts, shape (genes,).
    """

    scores: np.ndarray
    loadings: np.ndarray
    gene_means: np.ndarray


def log_normalise(counts: np.ndarray | sparse.spmatrix, batch: np.ndarray) -> sparse.csr_matrix:
    """log1p of counts per 10,000, (cells, genes), every gene scaled to the same mean in each batch."""
    X = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    X = sparse.diags(TARGET_SUM / np.asarray(X.sum(axis=1)).ravel()).dot(X).tocsr().astype(np.float32)
    X.data = np.log1p(X.data)
    batches = np.unique(batch)
    if len(batches) < 2:
        return X
    overall = np.asarray(X.mean(axis=0)).ravel()
    blocks = np.empty((len(batches), X.shape[1]), dtype=np.float32)
    for row, b in zip(blocks, batches, strict=True):
        own = np.asarray(X[batch == b].mean(axis=0)).ravel()
        row[:] = np.divide(overall, own, out=np.ones_like(own), where=own > 0)
    cell_block = np.searchsorted(batches, batch)
    X.data *= blocks[np.repeat(cell_block, np.diff(X.indptr)), X.indices]
    return X


def factorise(
    X: sparse.csr_matrix, n_factors: int, *, method: str, seed: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (cells, factors) and loadings (genes, factors); zero outside ``mask`` where it is given."""
    if mask is None and n_factors > min(X.shape):
        raise error(
            f"init={method!r} must have at most min(cells, genes) = {min(X.shape)} factors", got=n_factors
        )
    if method in NON_NEGATIVE_STARTS:
        scores, loadings = _nmf(X, n_factors, method, seed, mask)
        scale = MEAN_SCORE / np.maximum(scores.mean(axis=0), 1e-12)
        return scores * scale, loadings / scale
    dense = X.toarray()
    if method == "pca":
        model = PCA(n_factors, random_state=seed, svd_solver="randomized")
        scores, loadings = model.fit_transform(dense), model.components_.T
    else:
        model = FastICA(n_factors, random_state=seed, whiten="unit-variance", max_iter=500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be an optimum
            scores, loadings = model.fit_transform(dense), model.mixing_
    scale = 1.0 / np.maximum(scores.std(axis=0), 1e-12)
    return scores * scale, loadings / scale


def _nmf(
    X: sparse.csr_matrix, n_factors: int, method: str, seed: int, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if method == "nmf_kl" and mask is not None:
        return masked_nmf(X, mask, n_iterations=N_ITERATIONS, seed=seed)
    loss = "kullback-leibler" if method == "nmf_kl" else "frobenius"
    multiplicative = method == "nmf_kl" or mask is not None
    options = {"solver": "mu", "init": "nndsvdar"} if multiplicative else {"solver": "cd", "init": "nndsvda"}
    start: dict[str, np.ndarray] = {}
    if mask is not None:  # multiplicative updates keep zeros
        rng = np.random.default_rng(seed)
        options["init"] = "custom"
        scale = np.sqrt(X.mean() / n_factors)
        start = {
            "W": (scale * rng.uniform(0.5, 1.5, (X.shape[0], n_factors))).astype(X.dtype),
            "H": (scale * rng.uniform(0.5, 1.5, mask.T.shape) * (mask.T != 0)).astype(X.dtype),
        }
    model = NMF(n_factors, beta_loss=loss, max_iter=N_ITERATIONS, random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit_transform(X, **start), model.components_.T
