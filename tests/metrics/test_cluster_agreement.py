"""cluster_agreement and its graph against UMAP's, scikit-learn's and worked examples."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from distaff.metrics import cluster_agreement
from distaff.metrics._graph import fuzzy_graph, smooth_distances

LABELS = np.repeat(["B", "NK", "T"], 50)


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(150, 3)) + 8 * np.eye(3)[np.repeat([0, 1, 2], 50)]


@pytest.mark.slow
def test_graph_equals_umap() -> None:
    umap = pytest.importorskip("umap.umap_")
    Z = np.random.default_rng(0).normal(size=(200, 4))
    Z[10] = Z[11] = 100.0  # two equal cells, far from the rest
    distances = np.linalg.norm(Z[:, None] - Z[None], axis=2)
    np.fill_diagonal(distances, -1)  # a cell comes first among its own neighbours
    indices = np.argsort(distances, axis=1)[:, :10]
    np.fill_diagonal(distances, 0)
    knn = np.take_along_axis(distances, indices, axis=1)
    expected, _, _ = umap.fuzzy_simplicial_set(
        Z, 10, np.random.RandomState(0), "euclidean", knn_indices=indices, knn_dists=knn
    )
    np.testing.assert_allclose(fuzzy_graph(Z, 10).toarray(), expected.toarray(), atol=1e-4)


def test_graph_weights() -> None:
    Z = np.random.default_rng(0).normal(size=(50, 3))
    directed = smooth_distances(np.sort(np.linalg.norm(Z[:, None] - Z[None], axis=2))[:, 1:8], np.log2(8))
    np.testing.assert_allclose(directed.sum(axis=1), 3.0, rtol=1e-6)
    np.testing.assert_array_equal(directed[:, 0], 1.0)  # the nearest
    graph = fuzzy_graph(Z, 8)
    assert abs(graph - graph.T).max() == 0
    assert graph.diagonal().sum() == 0
    assert 0 < graph.data.min() <= graph.data.max() <= 1


def test_separate_groups_are_found(latent) -> None:
    result = cluster_agreement(latent, LABELS, resolutions=[0.1, 0.3, 2.0])
    assert result.value == float(result) == 1.0
    assert result.curve["resolution"].tolist() == [0.1, 0.3, 2.0]
    assert result.maxima["nmi"] == pytest.approx(1.0)
    assert result.curve["homogeneity"].iloc[2] == pytest.approx(1.0)
    assert result.curve["completeness"].iloc[2] < 1.0  # many small clusters
    assert result.curve["n_clusters"].iloc[2] > 3


def test_scores_are_scikit_learns(latent) -> None:
    truth = np.random.default_rng(1).permutation(LABELS)
    truth[:70] = LABELS[:70]
    result = cluster_agreement(latent, truth)
    assert len(result.curve) == 20
    assert result.value == pytest.approx(adjusted_rand_score(truth, result.clusters))
    row = result.curve.set_index("resolution").loc[result.best_resolution]
    assert row["nmi"] == pytest.approx(normalized_mutual_info_score(truth, result.clusters))
    assert row["n_clusters"] == len(np.unique(result.clusters))


def test_reproducible(latent) -> None:
    noise = np.random.default_rng(3).normal(size=latent.shape)
    random.seed(1)
    first = cluster_agreement(noise, LABELS, resolutions=[1.0])
    random.seed(2)
    second = cluster_agreement(noise, LABELS, resolutions=[1.0])
    np.testing.assert_array_equal(first.clusters, second.clusters)


def test_missing_labels_equal_the_subset(latent) -> None:
    gaps = LABELS.astype(object)
    gaps[::7] = None
    kept = np.arange(150) % 7 != 0
    result = cluster_agreement(latent, gaps, resolutions=[0.5, 1.5])
    alone = cluster_agreement(latent[kept], LABELS[kept], resolutions=[0.5, 1.5])
    np.testing.assert_array_equal(result.curve, alone.curve)
    assert (result.n_cells, result.n_missing) == (kept.sum(), (~kept).sum())
    assert (result.clusters[~kept] == -1).all()


def test_constant_latent() -> None:
    with pytest.warns(UserWarning, match="constant"):
        result = cluster_agreement(np.ones((150, 2)), LABELS, resolutions=[1.0])
    assert result.value == 0.0


def test_one_class() -> None:
    with pytest.warns(UserWarning, match="undefined"):
        result = cluster_agreement(
            np.random.default_rng(0).normal(size=(20, 2)), ["x"] * 20, resolutions=[1.0]
        )
    assert np.isnan(result.value)
    assert np.isnan(result.best_resolution)
    assert (result.clusters == -1).all()


@pytest.mark.parametrize("n_cells", [2, 3, 10])
def test_fewer_cells_than_neighbours(n_cells) -> None:
    Z = np.random.default_rng(0).normal(size=(n_cells, 2))
    results = [
        cluster_agreement(Z, np.arange(n_cells) % 2, resolutions=[1.0], n_neighbors=n)
        for n in (15, 2**40, np.int64(15))
    ]
    assert np.isfinite(results[0].value)
    for result in results:
        assert result.value == results[0].value
        assert result.params == {"n_neighbors": n_cells, "random_state": 0}
        assert type(result.params["n_neighbors"]) is int


def test_duplicated_cells() -> None:
    Z = np.repeat(np.eye(3) * 5, 40, axis=0)
    assert cluster_agreement(Z, np.repeat([0, 1, 2], 40), resolutions=[0.1]).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS, {"resolutions": []}, "at least one"),
        (LABELS, {"resolutions": [0.0]}, "resolutions must be > 0"),
        (LABELS, {"n_neighbors": 1}, "n_neighbors must be >= 2"),
        (LABELS, {"n_neighbors": 2**63}, r"n_neighbors must be < 2\*\*63"),
        (np.stack([LABELS, LABELS], axis=1), {}, "one column, got 2"),
        (LABELS[:10], {}, "10 rows for 150 cells"),
    ],
)
def test_bad_input(latent, labels, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        cluster_agreement(latent, labels, **options)


@pytest.mark.parametrize("shift", [0.0, 1e8])
@pytest.mark.parametrize("n_dims", [3, 24])
def test_far_from_the_origin(latent, shift, n_dims) -> None:
    Z = np.hstack([latent, np.zeros((150, n_dims - 3))]) + shift
    assert cluster_agreement(Z, LABELS, resolutions=[0.1]).value == 1.0


@pytest.mark.parametrize("value", [1e3, 1e9])
def test_outlier(latent, value) -> None:
    Z = latent + 2.0 * np.random.default_rng(1).normal(size=latent.shape)
    clean = cluster_agreement(Z, LABELS).value
    assert clean < 0.99
    Z[17, 1] = value
    assert cluster_agreement(Z, LABELS).value == pytest.approx(clean, abs=0.02)


def test_order_of_cells_and_dimensions(latent) -> None:
    order = np.random.default_rng(0).permutation(150)
    one = cluster_agreement(latent, LABELS, resolutions=[0.1, 0.3])
    other = cluster_agreement(latent[order][:, [2, 0, 1]], LABELS[order], resolutions=[0.1, 0.3])
    np.testing.assert_allclose(one.curve, other.curve)


def test_class_in_one_cell(latent) -> None:
    labels = LABELS.astype(object)
    labels[3] = "alone"
    result = cluster_agreement(latent, labels, resolutions=[0.1])
    assert result.n_cells == 150
    assert result.value == pytest.approx(adjusted_rand_score(labels, LABELS))
