"""pl.latent: which cells, which dimension, which words."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from distaff import pl, tl

HIGHLIGHT = to_rgba("#D55E00")


def title(ax) -> str:
    return ax.get_title().replace("\n", " ")


def highlighted(ax) -> int:
    collection = ax.collections[0]
    collection.update_scalarmappable()
    return int((collection.get_facecolors() == HIGHLIGHT).all(axis=1).sum())


def test_all_factors(stored) -> None:
    axes = pl.latent(stored)
    assert axes.shape == (5, 2)
    result = stored.uns["distaff"]["disentanglement"]
    expected = ["Factor 2", "Factor 4", None, "Factor 5", "Factor 1"]
    for row, dimension, (left, right) in zip(
        result["scores"]["max_spearman"].dropna().index, expected, axes, strict=True
    ):
        score = result["scores"].loc[row, "max_spearman"]
        best = result["best_dimension"].loc[row, "max_spearman"]
        assert title(right) == f"{best} |Spearman| = {score:.2f}"
        assert dimension in (None, best)
        assert len(left.collections[0].get_offsets()) == 800
    assert title(axes[1, 0]).startswith("cell_type: CD4 T/NK")
    n = int((stored.obs["cell_type"] == "CD4 T/NK").sum())
    assert f"{n} of 800 cells" in title(axes[1, 0])
    assert highlighted(axes[1, 0]) == n
    assert title(axes[3, 0]).startswith("treated: 1 ")
    assert highlighted(axes[3, 0]) == int((stored.obs["treated"] == 1).sum())
    assert "of 780 cells" in title(axes[3, 0])


def test_values_belong_to_their_cells(scored) -> None:
    right = pl.latent(scored, "usage 1")[0, 1].collections[0]
    points, values = np.asarray(right.get_offsets()), np.asarray(right.get_array())
    order = np.lexsort(points.T)
    expected = np.lexsort(scored.obsm["X_distaff_umap"].T)
    np.testing.assert_allclose(values[order], scored.obsm["X_distaff"][expected, 0])


@pytest.mark.parametrize(
    ("factors", "metric", "n"),
    [
        ("cell_type", "max_spearman", 3),
        ("cell_type", "mig", 1),
        (["usage", "treated"], "smi", 2),
        ("cell_type: CD4 T/NK", "lms", 1),
        (["cell_type: CD4 T_NK", "cell_type"], "single_dimension_accuracy", 3),
        (None, "mig", 3),
    ],
)
def test_choice_of_factors(scored, factors, metric, n) -> None:
    assert pl.latent(scored, factors, metric=metric).shape == (n, 2)


def test_classes_together(scored) -> None:
    left = pl.latent(scored, "cell_type", metric="mig")[0, 0]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["B", "CD4 T/NK", "Mono"]


def test_columns(scored) -> None:
    axes = pl.latent(scored, n_columns=2)
    grid = axes[0, 0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (3, 4)


def test_nothing_found(scored) -> None:
    adata = scored.copy()
    result = adata.uns["distaff"]["disentanglement"]
    result["best_dimension"].loc["treated", "mig"] = ""
    assert "no dimension" in title(pl.latent(adata, "treated", metric="mig")[0, 1])


def test_basis(scored) -> None:
    adata = scored.copy()
    adata.obsm["X_tsne"] = adata.obsm["X_distaff_umap"] + 100
    assert pl.latent(adata, "treated", basis="tsne")[0, 0].get_xlabel() == "tsne 1"
    assert pl.latent(adata, "treated")[0, 0].get_xlabel() == "UMAP 1"
    del adata.obsm["X_distaff_umap"]
    with pytest.raises(KeyError, match=r"tl\.umap\(adata, key='distaff'\), or pass basis='X_umap'"):
        pl.latent(adata)


def test_own_tsne(scored) -> None:
    adata = scored.copy()
    with pytest.raises(KeyError, match=r"tl\.tsne\(adata, key='distaff'\), or pass basis='X_tsne'"):
        pl.latent(adata, basis="tsne")
    adata.obsm["X_distaff_tsne"] = adata.obsm["X_distaff_umap"] + 100
    ax = pl.latent(adata, "treated", basis="tsne")[0, 0]
    assert ax.get_xlabel() == "t-SNE 1"
    assert np.asarray(ax.collections[0].get_offsets()).min() > 50


def test_three_dimensions(scored) -> None:
    adata = scored.copy()
    rng = np.random.default_rng(0)
    adata.obsm["X_distaff_tsne"] = rng.normal(size=(800, 3)).astype(np.float32)
    adata.obs["treated"] = np.where(np.arange(800) < 40, "yes", "no")
    tl.disentanglement(adata, ["treated", "usage"])
    (rare, _), (values, dimension) = pl.latent(adata, ["treated", "usage"], basis="X_distaff_tsne")
    assert [getattr(rare, f"get_{axis}label")() for axis in "xyz"] == ["t-SNE 1", "t-SNE 2", "t-SNE 3"]
    everyone, on_top = rare.collections
    assert len(on_top._offsets3d[0]) == 40
    np.testing.assert_allclose(
        np.sort(np.asarray(on_top._offsets3d[2])), np.sort(adata.obsm["X_distaff_tsne"][:40, 2])
    )
    assert everyone.get_rasterized()
    assert [len(ax.collections[0]._offsets3d[0]) for ax in (values, dimension)] == [800, 800]
    dimension.figure.canvas.draw()


def test_colors_of_scanpy_and_around_zero(scored) -> None:
    adata = scored.copy()
    adata.uns["cell_type_colors"] = ["#111111", "#222222", "#333333"]
    tl.disentanglement(adata, "cell_type", metrics="mig")
    left, right = pl.latent(adata, metric="mig")[0]
    assert [line.get_color() for line in left.get_legend().get_lines()] == ["#111111", "#222222", "#333333"]
    assert right.collections[0].norm.vmin == -right.collections[0].norm.vmax
    usage, positive = pl.latent(scored, "usage 1")[0]
    assert {ax.collections[0].cmap.name for ax in (usage, positive)} == {"viridis"}


def test_save_and_show(scored, tmp_path, monkeypatch) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    pl.latent(scored, "treated", save=tmp_path / "both")
    assert {path.name for path in tmp_path.iterdir()} == {"both.png", "both.pdf"}
    assert (tmp_path / "both.pdf").stat().st_size > 1000
    pl.latent(scored, "treated", save=str(tmp_path / "one.svg"))
    assert (tmp_path / "one.svg").exists()
    assert not shown
    pl.latent(scored, "treated", show=True)
    assert shown == [1]


def test_titles_do_not_overlap(scored) -> None:
    axes = pl.latent(scored)
    figure = axes[0, 0].figure
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in axes.ravel()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_only_reads(scored) -> None:
    before = scored.copy()
    pl.latent(scored)
    assert set(scored.uns["distaff"]) == set(before.uns["distaff"])
    assert list(scored.obs) == list(before.obs)
    assert set(scored.obsm) == set(before.obsm)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"key": "nope"}, KeyError, r"uns\['nope'\] must hold 'disentanglement'.*tl.disentanglement"),
        ({"metric": "gap"}, ValueError, "metric must be one of 'max_spearman'"),
        ({"factors": "nope"}, KeyError, "'nope'.*'cell_type: B'"),
        (
            {"factors": "usage", "metric": "single_dimension_accuracy"},
            KeyError,
            "scored by single_dimension_accuracy",
        ),
        ({"basis": "pca"}, KeyError, "'pca'"),
        ({"n_columns": 0}, ValueError, "n_columns must be >= 1"),
        ({"size": 0.0}, ValueError, "size must be > 0"),
    ],
)
def test_bad_input(scored, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        pl.latent(scored, **options)


@pytest.mark.parametrize("name", ["group", "a rather long name of a group"])
def test_the_legend_is_whole(scored, name) -> None:
    adata = scored.copy()
    adata.obs["group"] = [f"{name} {i % 12}" for i in range(adata.n_obs)]
    tl.disentanglement(adata, "group", metrics="mig")
    ax = pl.latent(adata, metric="mig")[0, 0]
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_legend().get_texts()]
    assert len(boxes) == 12
    assert all(ax.figure.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))
