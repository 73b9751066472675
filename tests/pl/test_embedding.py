"""pl.embedding: which factors, which values, which words."""

from __future__ import annotations

import anndata
import numpy as np
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
    middles = {text.get_text(): text.get_position() for text in axes[0].texts}
    assert sorted(middles) == ["B", "Mono", "T"]
    cells = (placed.obs["cell_type"] == "Mono").to_numpy()
    away = np.array(middles["Mono"]) - np.median(placed.obsm["X_distaff_umap"][cells], axis=0)
    assert np.all(np.abs(away) < 0.2 * np.ptp([axes[0].get_xlim(), axes[0].get_ylim()], axis=1))
    assert not pl.embedding(placed, 1, color="age")[0].texts


def test_three_dimensions_and_columns(placed) -> None:
    placed.obsm["X_box"] = np.random.default_rng(0).normal(size=(placed.n_obs, 3))
    axes = pl.embedding(placed, 3, color="cell_type", basis="box", n_columns=2)
    assert {ax.name for ax in axes} == {"3d"}
    assert axes[0].get_gridspec().ncols == 2


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
