"""pl.top_genes: which genes, which bars."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from distaff import pl


def bars(ax) -> dict[str, float]:
    names = [label.get_text() for label in ax.get_yticklabels()]
    return dict(zip(names, (bar.get_width() for bar in ax.patches), strict=True))


def test_both_sides_of_a_dense_factor(stored_factors) -> None:
    ax = pl.top_genes(stored_factors, "C", n_genes=6)[0]
    column = -stored_factors.varm["distaff_loadings"]["C"]
    expected = (column - column.mean()).sort_values(ascending=False)
    drawn = bars(ax)
    assert list(drawn) == [*expected.index[:3], *expected.index[-3:]]
    np.testing.assert_allclose(list(drawn.values()), [*expected[:3], *expected[-3:]])
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == ["#0072b2"] * 3 + ["#d55e00"] * 3
    assert ax.get_title() == "C"


def test_sparse_factor_shows_the_genes_it_has(factored) -> None:
    assert bars(pl.top_genes(factored, "D")[0]) == {"gene0": 3.0, "gene1": 2.0, "gene2": -1.0}


def test_one_side_leaves_its_room_to_the_other(factored) -> None:
    assert list(bars(pl.top_genes(factored, "D", n_genes=2)[0])) == ["gene0", "gene2"]
    adata = factored.copy()
    loadings = adata.varm["distaff_loadings"].copy()
    loadings.loc["gene3", "D"] = 1.0
    adata.varm["distaff_loadings"] = loadings
    assert list(bars(pl.top_genes(adata, "D", n_genes=4)[0])) == ["gene0", "gene1", "gene3", "gene2"]


def test_non_negative_loadings_have_one_side(factored) -> None:
    adata = factored.copy()
    adata.varm["distaff_loadings"] = adata.varm["distaff_loadings"].abs()
    adata.uns["distaff"]["factors"] = adata.uns["distaff"]["factors"].assign(direction=1)
    drawn = bars(pl.top_genes(adata, "B", n_genes=4)[0])
    expected = adata.varm["distaff_loadings"]["B"].nlargest(4)
    assert drawn == pytest.approx(expected.to_dict())


def test_panels(factored) -> None:
    axes = pl.top_genes(factored)
    assert [ax.get_title() for ax in axes[:2]] == ["B", "HALLMARK_A"]
    assert len(axes) == 5
    assert axes[0].get_gridspec().ncols == 4
    assert pl.top_genes(factored, n_columns=2)[0].get_gridspec().nrows == 3
    with pytest.raises(ValueError, match="n_genes must be >= 1"):
        pl.top_genes(factored, n_genes=0)


def test_a_factor_without_loadings(factored) -> None:
    adata = factored.copy()
    adata.varm["distaff_loadings"] = adata.varm["distaff_loadings"].assign(D=0.0)
    ax = pl.top_genes(adata, "D")[0]
    assert [text.get_text() for text in ax.texts] == ["no loadings"]
