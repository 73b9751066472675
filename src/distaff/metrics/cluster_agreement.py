"""Agreement of unsupervised clusters of the latent with known labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import igraph
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, triu
from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

from distaff._checks import check_int, check_number, check_seed, error
from distaff.metrics._contract import constant_columns, parse, warn
from distaff.metrics._graph import fuzzy_graph

__all__ = ["ClusterAgreement", "cluster_agreement"]

RESOLUTIONS = tuple(round(0.1 * i, 1) for i in range(1, 21))
N_ITERATIONS = 2  # of Leiden, as in scanpy's igraph flavour
SCORES = ("ari", "nmi", "homogeneity", "completeness")


@dataclass(frozen=True, eq=False)
class ClusterAgreement:
    """Clusters against labels over a range of resolutions; ``float(result)`` is its value.

    Parameters
    ----------
    value
        Largest adjusted Rand index; NaN with fewer than two cells or classes.
    curve
        One row a resolution: ``resolution``, ``n_clusters``, ``ari``, ``nmi``, ``homogeneity``,
        ``completeness``.
    best_resolution
        Resolution of ``value``, the first of several; NaN if there is none.
    clusters
        (cells,) clusters at that resolution, -1 for cells without a label.
    n_cells
        Labelled cells, the ones clustered.
    n_missing
        Cells without a label, left out.
    params
        Settings as they were used, seed included.
    """

    value: float
    curve: pd.DataFrame
    best_resolution: float
    clusters: NDArray[np.int64]
    n_cells: int
    n_missing: int
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def maxima(self) -> pd.Series:
        """Largest value of each score over the resolutions."""
        return self.curve[list(SCORES)].max()

    def __float__(self) -> float:
        return self.value


def cluster_agreement(
    Z: Any,
    labels: Any,
    *,
    resolutions: Sequence[float] | None = None,
    n_neighbors: int = 15,
    random_state: int = 0,
) -> ClusterAgreement:
    """Leiden clusters of the latent against labels: the curve over resolutions, and its maximum.

    The graph joins each cell with its nearest neighbours, weighted as in UMAP. The maximum stands for the
    choice of a resolution by eye; it is optimistic, and its ceiling is below 1 where other factors split the
    labels. Cells without a label are left out before the graph is built. A constant latent is one cluster,
    which agrees with nothing: 0, with a warning.

    Parameters
    ----------
    Z
        (cells, dimensions) latent.
    labels
        (cells,) classes, missing labels allowed.
    resolutions
        Resolutions of Leiden's modularity; None for 0.1, 0.2, ... 2.
    n_neighbors
        Neighbours of a cell in the graph, itself included; all cells where there are fewer.
    random_state
        Seed of Leiden.

    Returns
    -------
    ClusterAgreement, see there.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or a resolution is not positive.

    References
    ----------
    Kimmel (2020), :cite:p:`Kimmel20`, with Louvain clusters; Traag et al. (2019), :cite:p:`Traag19`.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import cluster_agreement
    >>> cell_type = np.repeat(["B", "T"], 60)
    >>> Z = np.random.default_rng(0).normal(size=(120, 2))
    >>> Z[:, 0] += 20 * (cell_type == "T")
    >>> cluster_agreement(Z, cell_type, resolutions=[0.1, 0.5]).value
    1.0
    """
    steps = _check_resolutions(RESOLUTIONS if resolutions is None else resolutions)
    n_neighbors = check_int("n_neighbors", n_neighbors, minimum=2)
    random_state = check_seed("random_state", random_state)
    problem = parse(Z, labels, "categorical", one_vs_rest=False)
    if len(problem.factors) != 1:
        raise error("labels must be one column", got=f"{len(problem.factors)} columns")
    factor = problem.factors[0]
    rows = factor.labelled
    points, truth = problem.Z[rows], factor.values[rows]
    n_neighbors = min(n_neighbors, len(points))
    if factor.constant:
        warn("cluster_agreement is undefined (NaN): fewer than two cells or classes.")
        partitions, scores = [], np.full((len(steps), len(SCORES)), np.nan)
    else:
        partitions = _partitions(points, steps, n_neighbors, random_state)
        scores = np.array([_compare(truth, found) for found in partitions])
    curve = pd.DataFrame(scores, columns=SCORES)
    curve.insert(0, "resolution", steps)
    curve.insert(1, "n_clusters", [len(np.unique(found)) for found in partitions] or [0] * len(steps))
    clusters = np.full(len(rows), -1, dtype=np.int64)
    if partitions:
        best = int(np.argmax(scores[:, 0]))
        clusters[rows] = partitions[best]
    return ClusterAgreement(
        value=float(scores[best, 0]) if partitions else float("nan"),
        curve=curve,
        best_resolution=steps[best] if partitions else float("nan"),
        clusters=clusters,
        n_cells=int(rows.sum()),
        n_missing=int((~rows).sum()),
        params={"n_neighbors": n_neighbors, "random_state": random_state},
    )


def _check_resolutions(resolutions: Sequence[float]) -> list[float]:
    steps = [
        check_number("resolutions", value, above=0) for value in np.asarray(resolutions).ravel().tolist()
    ]
    if not steps:
        raise error("resolutions must hold at least one value", got="none")
    return steps


def _partitions(
    Z: NDArray[np.float64], resolutions: list[float], n_neighbors: int, seed: int
) -> list[NDArray[np.int64]]:
    if constant_columns(Z).all():
        warn("The latent is constant: all cells are one cluster, and the agreement is 0.")
        return [np.zeros(len(Z), dtype=np.int64) for _ in resolutions]
    centred = Z - np.median(Z, axis=0)  # squared distances far from the origin lose their digits
    graph = _to_igraph(fuzzy_graph(centred, n_neighbors))
    return [_leiden(graph, resolution, seed) for resolution in resolutions]


def _leiden(graph: igraph.Graph, resolution: float, seed: int) -> NDArray[np.int64]:
    # igraph draws from Python's global generator unless told otherwise
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(
            objective_function="modularity",
            weights="weight",
            resolution=resolution,
            n_iterations=N_ITERATIONS,
        )
    finally:
        igraph.set_random_number_generator(random)
    return np.array(found.membership)


def _to_igraph(adjacency: csr_matrix) -> igraph.Graph:
    half = triu(adjacency, k=1).tocoo()
    edges = np.column_stack([half.row, half.col])
    graph = igraph.Graph(n=adjacency.shape[0], edges=edges, directed=False)
    graph.es["weight"] = half.data
    return graph


def _compare(truth: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """ARI, NMI (arithmetic mean, which is the V-measure), homogeneity, completeness."""
    homogeneity, completeness, nmi = homogeneity_completeness_v_measure(truth, found)
    return adjusted_rand_score(truth, found), nmi, homogeneity, completeness
