"""pl.traversal: which genes, which values, names that stay clear of each other."""

from __future__ import annotations

import itertools

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import pl


def moved(n_factors=3, n_genes=60) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((2, n_genes), dtype=np.float32))
    adata.var_names = [f"gene{i}" for i in range(n_genes)]
    names = [f"Factor {i + 1}" for i in range(n_factors)]
    changes = pd.DataFrame(rng.normal(size=(n_genes, n_factors)), index=adata.var_names, columns=names)
    adata.varm["distaff_traversal"] = changes
    return adata


def rows(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("kind", ["memory", "h5ad", "zarr"])
def test_genes_of_both_sides(kind, tmp_path) -> None:
    adata = moved()
    if kind != "memory":
        getattr(adata, f"write_{kind}")(tmp_path / f"a.{kind}")
        adata = getattr(anndata, f"read_{kind}")(tmp_path / f"a.{kind}")
    ax = pl.traversal(adata, n_genes=4)
    changes = adata.varm["distaff_traversal"]
    first = changes["Factor 1"].sort_values()
    assert rows(ax)[:4] == [*first.index[-2:][::-1], *first.index[:2][::-1]]
    np.testing.assert_allclose(ax.images[0].get_array(), changes.loc[rows(ax)])
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_each_gene_once_and_turned() -> None:
    adata = moved()
    changes = adata.varm["distaff_traversal"]
    changes["Factor 2"] = changes["Factor 1"] * 0.9
    adata.uns["distaff"] = {
        "factors": pd.DataFrame(
            {"rank": [3, 1, 2], "active": True, "direction": [1, -1, 1]}, index=list(changes.columns)
        )
    }
    ax = pl.traversal(adata, n_genes=4)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Factor 2", "Factor 3", "Factor 1"]
    assert len(rows(ax)) == len(set(rows(ax))) == 8
    np.testing.assert_allclose(ax.images[0].get_array()[:, 0], -changes.loc[rows(ax), "Factor 2"])


def test_a_factor_that_moves_one_way() -> None:
    adata = moved()
    adata.varm["distaff_traversal"] = adata.varm["distaff_traversal"].abs()
    assert len(rows(pl.traversal(adata, "Factor 1", n_genes=4))) == 2


def test_names_do_not_overlap() -> None:
    ax = pl.traversal(moved(12, 2000))
    assert len(rows(ax)) > 60
    ax.figure.canvas.draw()
    for labels, side in ((ax.get_yticklabels(), "y"), (ax.get_xticklabels(), "x")):
        boxes = [label.get_window_extent() for label in labels]
        ends = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert all(b[0] > a[1] - 1 for a, b in itertools.pairwise(ends))


def test_three_hundred_factors() -> None:
    adata = moved(300, 2000)
    assert pl.traversal(adata).images[0].get_array().shape[1] == 12
    ax = pl.traversal(adata, 300)
    assert ax.get_ylabel().endswith("genes")
    assert ax.get_xlabel() == "300 factors"
    assert max(ax.figure.get_size_inches()) < 15


def test_bad_input() -> None:
    with pytest.raises(KeyError, match=r"'other_traversal'.*tl.traverse\(adata, model, key='other'\)"):
        pl.traversal(moved(), key="other")
    with pytest.raises(ValueError, match="n_genes must be >= 1"):
        pl.traversal(moved(), n_genes=0)
    with pytest.raises(KeyError, match="factors must name rows.*'Factor 7'"):
        pl.traversal(moved(), ["Factor 7"])
