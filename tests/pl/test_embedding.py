"""pl.embedding: which factors, which values, which words."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import pl


@pytest.fixture
def placed(factored) -> anndata.AnnData:
    adata = factored.copy()
    adata.obsm["X_distaff_umap"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    return adata


def by_cell(ax) -> np.ndarray:
    """Values in the order of the cells along the first axis of the embedding."""
    drawn = ax.collections[0]
    return np.asarray(drawn.get_array())[np.argsort(np.asarray(drawn.get_offsets())[:, 0])]


def test_values_of_the_factors_in_their_direction(placed) -> None:
    axes = pl.embedding(placed, ["C", "B"])
    order = np.argsort(placed.obsm["X_distaff_umap"][:, 0])
    for ax, name in zip(axes, ["C", "B"], strict=True):
        turned = placed.uns["distaff"]["factors"]["direction"][name] * placed.obsm["X_distaff"][name]
        np.testing.assert_allclose(by_cell(ax), turned.to_numpy()[order])
    assert axes[0].get_xlabel() == "UMAP 1"


def test_titles_name_genes(placed) -> None:
    table = placed.uns["distaff"]["factors"]
    (ax,) = pl.embedding(placed, ["B"], n_genes=2)
    assert ax.get_title() == "B\n" + ", ".join(table.loc["B", "top_genes"].split(", ")[:2])
    assert pl.embedding(placed, ["B"], n_genes=0)[0].get_title() == "B"
    del table["top_genes"]  # as of a decoder that is not linear
    assert pl.embedding(placed, ["B"])[0].get_title() == "B"


def test_the_first_ranks_after_a_column(placed) -> None:
    axes = pl.embedding(placed, 2, color="cell_type")
    assert [ax.get_title().split("\n")[0] for ax in axes] == ["cell_type", "B", "HALLMARK_A"]
    legend = axes[0].figure.legends[0]
    assert legend.get_title().get_text() == "cell_type"
    assert [text.get_text() for text in legend.get_texts()] == ["B", "Mono", "T"]
    assert not axes[0].texts  # types that mix have no place of their own
    numbers = pl.embedding(placed, 1, color="age")[0]
    assert not numbers.texts
    assert not numbers.figure.legends


def islands(adata) -> tuple[np.ndarray, np.ndarray]:
    """Cells and group of each cell: B around 0, T on either side of it, "rare" and "odd" within T."""
    rng = np.random.default_rng(0)
    group = np.repeat(["B", "T", "T", "rare"], adata.n_obs // 4).astype(object)
    group[-90:] = "T"
    centre = np.repeat([0.0, -8.0, 8.0, 8.0], adata.n_obs // 4)
    points = rng.normal(size=(adata.n_obs, 2)) + np.column_stack([centre, np.zeros(adata.n_obs)])
    group[::40] = "odd"
    adata.obs["island"] = group
    adata.obsm["X_distaff_umap"] = points
    return points, group


def test_names_stand_on_their_cells(placed) -> None:
    points, group = islands(placed)
    ax = pl.embedding(placed, 1, color="island")[0]
    names = {text.get_text(): text for text in ax.texts}
    assert sorted(names) == ["B", "T"]
    ax.figure.canvas.draw()
    pixels = ax.transData.transform(points)
    for name, text in names.items():
        box = text.get_window_extent()
        below = group[np.all((pixels >= box.min) & (pixels <= box.max), axis=1)]
        assert np.mean(below == name) > 0.5
    assert abs(names["T"].get_position()[0]) > 5  # its median would be among the B cells
    texts = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert texts == ["B", "T", "odd", "rare"]


def test_names_do_not_overlap_and_stay_in_the_panel(placed) -> None:
    rng = np.random.default_rng(0)
    group = np.arange(placed.n_obs) % 20
    angle = 2 * np.pi * group / 20
    points = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.01 * rng.normal(size=(placed.n_obs, 2))
    placed.obs["ring"] = [f"a rather long name of group {i}" for i in group]
    placed.obsm["X_distaff_umap"] = points
    ax = pl.embedding(placed, 1, color="ring")[0]
    ax.figure.canvas.draw()
    panel, boxes = ax.get_window_extent(), [text.get_window_extent() for text in ax.texts]
    assert 3 < len(boxes) < 20
    for i, box in enumerate(boxes):
        assert np.all(box.min >= panel.min - 1)
        assert np.all(box.max <= panel.max + 1)
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    legend = ax.figure.legends[0].get_window_extent()
    assert len(ax.figure.legends[0].get_texts()) == 20
    assert ax.figure.bbox.contains(*legend.min)
    assert ax.figure.bbox.contains(*legend.max)


def test_too_many_groups_have_no_legend(placed) -> None:
    placed.obs["clone"] = [f"clone {i % 50}" for i in range(placed.n_obs)]
    assert not pl.embedding(placed, 1, color="clone")[0].figure.legends


@pytest.mark.parametrize("categorical", [True, False])
def test_colors_of_scanpy(placed, categorical) -> None:
    islands(placed)
    wanted = {"B": "#111111", "T": "#222222", "odd": "#333333", "rare": "#444444"}
    order = ["T", "rare", "unused", "B", "odd"] if categorical else sorted(wanted)
    if categorical:
        placed.obs["island"] = pd.Categorical(placed.obs["island"], categories=order)
    placed.uns["island_colors"] = [wanted.get(name, "red") for name in order]
    legend = pl.embedding(placed, 1, color="island")[0].figure.legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert {name: line.get_color() for name, line in zip(texts, legend.get_lines(), strict=True)} == wanted
    by_terms = pl.terms(placed, color="island")[0].get_legend()
    assert [line.get_color() for line in by_terms.get_lines()] == [wanted[name] for name in texts]


@pytest.mark.parametrize("colors", [["#111111"], ["no color"] * 3, "#111111", None])
def test_colors_that_do_not_fit_are_left_alone(placed, colors) -> None:
    placed.uns["cell_type_colors"] = colors
    legend = pl.embedding(placed, 1, color="cell_type")[0].figure.legends[0]
    assert [line.get_color() for line in legend.get_lines()] == ["#0072B2", "#E69F00", "#009E73"]


def test_colors_of_factors_with_and_without_sign(placed) -> None:
    gated = np.zeros(placed.n_obs)
    gated[:100] = -np.linspace(1, 2, 100)
    placed.obsm["X_distaff"]["C"] = gated * placed.uns["distaff"]["factors"].loc["C", "direction"]
    placed.obsm["X_distaff"]["D"] = np.abs(gated) * placed.uns["distaff"]["factors"].loc["D", "direction"]
    signed, positive = (ax.collections[0] for ax in pl.embedding(placed, ["C", "D"]))
    assert signed.norm.vmin == -signed.norm.vmax
    assert np.allclose(signed.to_rgba([0.0])[0, :3], 216 / 255, atol=0.01)  # off is grey
    assert positive.cmap.name == "viridis"
    assert positive.norm.vmin == 0


def test_three_dimensions_and_columns(placed) -> None:
    placed.obsm["X_box"] = np.random.default_rng(0).normal(size=(placed.n_obs, 3))
    axes = pl.embedding(placed, 3, color="cell_type", basis="box", n_columns=2)
    assert {ax.name for ax in axes} == {"3d"}
    assert axes[0].get_gridspec().ncols == 2
    assert len(axes[0].figure.legends[0].get_texts()) == 3


def test_bad_input(placed) -> None:
    with pytest.raises(KeyError, match="color must name a column"):
        pl.embedding(placed, color="nope")
    with pytest.raises(ValueError, match="n_genes must be >= 0"):
        pl.embedding(placed, n_genes=-1)
    with pytest.raises(ValueError, match="n_columns must be >= 1"):
        pl.embedding(placed, n_columns=0)
    placed.obs["empty"] = None
    with pytest.raises(ValueError, match=r"adata.obs\['empty'\] must hold a label, got none"):
        pl.embedding(placed, color="empty")
    del placed.obsm["X_distaff_umap"]
    with pytest.raises(KeyError, match="adata.obsm must hold the embedding"):
        pl.embedding(placed)
