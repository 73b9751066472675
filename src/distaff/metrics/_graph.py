"""Nearest-neighbour graph of cells, weighted as UMAP and scanpy do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.neighbors import NearestNeighbors

__all__ = ["fuzzy_graph", "smooth_distances"]

N_BISECTIONS = 64
MIN_SCALE = 1e-3  # smallest bandwidth, as a share of the mean distance (UMAP's)


def fuzzy_graph(Z: NDArray[np.float64], n_neighbors: int) -> csr_matrix:
    """Symmetric (cells, cells) graph with weights in (0, 1].

    The ``n_neighbors`` nearest cells, the cell itself included, get the weight ``exp(-(d - rho) / sigma)``
    with ``rho`` the distance of the nearest and ``sigma`` such that the weights sum to ``log2(n_neighbors)``;
    the two directions are joined by ``a + b - ab``.
    """
    n = len(Z)
    k = n_neighbors - 1
    distances, neighbors = NearestNeighbors(n_neighbors=k).fit(Z).kneighbors()
    weights = smooth_distances(distances, np.log2(k + 1))
    rows = np.repeat(np.arange(n), k)
    directed = coo_matrix((weights.ravel(), (rows, neighbors.ravel())), shape=(n, n)).tocsr()
    directed.eliminate_zeros()
    mirrored = directed.T.tocsr()
    return (directed + mirrored - directed.multiply(mirrored)).tocsr()


def smooth_distances(distances: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Weights (cells, neighbours) of sorted distances to others, summing to ``target`` where possible."""
    positive = np.where(distances > 0, distances, np.inf).min(axis=1)
    rho = np.where(np.isfinite(positive), positive, 0.0)[:, None]
    excess = np.maximum(distances - rho, 0.0)
    low, high = np.zeros_like(rho), np.full_like(rho, np.inf)
    sigma = np.ones_like(rho)
    for _ in range(N_BISECTIONS):
        too_wide = np.exp(-excess / sigma).sum(axis=1, keepdims=True) > target
        high, low = np.where(too_wide, sigma, high), np.where(too_wide, low, sigma)
        sigma = np.where(np.isinf(high), sigma * 2, (low + high) / 2)
    own_mean = distances.mean(axis=1, keepdims=True)
    floor = MIN_SCALE * np.where(rho > 0, own_mean, distances.mean())
    sigma = np.maximum(sigma, np.maximum(floor, np.finfo(np.float64).tiny))
    return np.exp(-excess / sigma)
