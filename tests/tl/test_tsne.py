"""tl.tsne: groups stay together, in two and in three dimensions."""

from __future__ import annotations

import anndata
import numpy as np
import pytest

from distaff import tl


def grouped(n_cells: int = 90, n_dims: int = 5) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.zeros((n_cells, 1), dtype=np.float32))
    adata.obsm["X_distaff"] = rng.normal(size=(n_cells, n_dims)).astype(np.float32)
    adata.obsm["X_distaff"] += 20 * np.eye(n_dims, dtype=np.float32)[np.arange(n_cells) % 3]
    return adata


@pytest.mark.parametrize("n_components", [2, 3])
def test_neighbours_are_of_the_same_group(n_components) -> None:
    adata = grouped()
    assert tl.tsne(adata, n_components=n_components, perplexity=8) is None
    points = adata.obsm["X_distaff_tsne"]
    assert points.shape == (90, n_components)
    assert points.dtype == np.float32
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) % 3 == np.arange(90) % 3).all()


def test_the_seed_decides_and_the_global_one_stays() -> None:
    state = np.random.get_state()[1].copy()
    first = tl.tsne(grouped(), random_state=3, copy=True)
    again = tl.tsne(grouped(), random_state=3, copy=True)
    np.testing.assert_array_equal(first.obsm["X_distaff_tsne"], again.obsm["X_distaff_tsne"])
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_only_its_slot_is_written(tmp_path) -> None:
    adata = grouped(12)  # fewer cells than three times the perplexity
    adata.obsm["X_other"] = adata.obsm["X_distaff"].copy()
    copy = tl.tsne(adata, use_rep="X_other", key="b", copy=True)
    assert set(adata.obsm) == {"X_distaff", "X_other"}
    assert set(copy.obsm) == {"X_distaff", "X_other", "X_b_tsne"}
    assert not copy.obsp
    assert not copy.uns
    copy.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(read.obsm["X_b_tsne"], copy.obsm["X_b_tsne"])


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"key": "nope"}, KeyError, "use_rep must name a slot of adata.obsm, got 'X_nope'. Run tl.latent"),
        ({"n_components": 4}, ValueError, "n_components must be 2 or 3, got 4"),
        ({"n_components": 2.0}, TypeError, "n_components must be an integer"),
        ({"perplexity": 0.5}, ValueError, "perplexity must be >= 1"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0"),
    ],
)
def test_bad_arguments(options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        tl.tsne(grouped(12), **options)


def test_bad_latents() -> None:
    with pytest.raises(ValueError, match="at least 3 dimensions, got 2. Pass n_components=2"):
        tl.tsne(_with(np.zeros((12, 2))), n_components=3)
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        tl.tsne(_with(np.zeros((12, 1))))
    with pytest.raises(ValueError, match="must vary over the cells"):
        tl.tsne(_with(np.ones((12, 3))))
    with pytest.raises(ValueError, match="at least 5 cells, got 4"):
        tl.tsne(_with(np.eye(4)))
    with pytest.raises(ValueError, match="must be finite"):
        tl.tsne(_with(np.full((12, 3), np.nan)))


def _with(Z: np.ndarray) -> anndata.AnnData:
    adata = anndata.AnnData(np.zeros((len(Z), 1), dtype=np.float32))
    adata.obsm["X_distaff"] = Z
    return adata


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_latents_of_any_scale(scale):
    Z = np.random.default_rng(0).normal(size=(30, 3))
    adata = anndata.AnnData(obsm={"X_distaff": Z * scale})
    tl.tsne(adata)
    assert np.isfinite(adata.obsm["X_distaff_tsne"]).all()
    assert adata.obsm["X_distaff_tsne"].std() > 0
