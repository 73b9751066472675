"""pl.consensus: order, bars and marks are those of the table, at any size."""

from __future__ import annotations

from itertools import pairwise

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from distaff import pl, tl


def runs_data(n_factors=4, n_runs=3, n_cells=200, noise=0.3, alone=1):
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((n_cells, 2), dtype=np.float32))
    truth = rng.normal(size=(n_cells, n_factors))
    for run in range(n_runs):
        Z = truth[:, rng.permutation(n_factors)] + noise * rng.normal(size=truth.shape)
        adata.obsm[f"X_{run}"] = np.hstack([Z, rng.normal(size=(n_cells, alone))])
    tl.consensus(adata, [str(run) for run in range(n_runs)])
    return adata


@pytest.fixture(scope="module", params=["memory", "h5ad"])
def adata(request, tmp_path_factory):
    adata = runs_data()
    if request.param == "memory":
        return adata
    path = tmp_path_factory.mktemp("consensus") / "a.h5ad"
    adata.write_h5ad(path)
    return anndata.read_h5ad(path)


def test_values_and_labels(adata) -> None:
    entry = adata.uns["consensus"]
    ax = pl.consensus(adata)
    np.testing.assert_allclose(ax.images[0].get_array(), np.abs(entry["consensus_correlation"]))
    assert [label.get_text() for label in ax.get_yticklabels()] == [*entry["consensus"].index, "one run only"]
    assert ax.get_yticks().tolist() == [1, 4, 7, 10, 13]
    assert ax.get_xlabel() == "15 factors of 3 runs"
    beside = ax.figure.axes[1]
    assert [bar.get_width() for bar in beside.patches] == entry["consensus"]["stability"].tolist()
    marks = next(c for c in beside.collections if isinstance(c, LineCollection))
    assert [segment[0][0] for segment in marks.get_segments()] == entry["consensus"]["chance"].tolist()
    assert beside.get_ylim() == ax.get_ylim()


def test_names_follow(adata) -> None:
    other = tl.rename_factors(adata, {"Consensus 1": "cell cycle"}, key="consensus", copy=True)
    assert pl.consensus(other).get_yticklabels()[0].get_text() == "cell cycle"


def test_many_factors_leave_names_out(tmp_path) -> None:
    ax = pl.consensus(runs_data(n_factors=100, n_runs=3), save=tmp_path / "a.png")
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert 20 < len(boxes) < 100
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in pairwise(boxes))
    assert max(ax.figure.get_size_inches()) < 15


def test_on_axes_of_others_and_files(adata, tmp_path) -> None:
    ax = plt.figure(layout="constrained").subplots()
    assert pl.consensus(adata, ax=ax) is ax
    (beside,) = ax.child_axes
    assert len(beside.patches) == 4
    pl.consensus(adata, save=tmp_path / "both")
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf"}


def test_without_a_consensus() -> None:
    with pytest.raises(KeyError, match=r"must hold 'consensus', got nothing. Run distaff.tl.consensus"):
        pl.consensus(anndata.AnnData(np.ones((3, 2))))
