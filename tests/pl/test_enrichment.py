"""pl.enrichment: which sets, which dots and bars, names that can be told apart."""

from __future__ import annotations

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff import pl, tl


def enriched_adata(n_factors=4, n_genes=400) -> anndata.AnnData:
    """Set k is high in factor k; in factor 2 it is low; factor 3 has none."""
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((3, n_genes), dtype=np.float32))
    adata.var_names = [f"g{i}" for i in range(n_genes)]
    loadings = rng.normal(size=(n_genes, n_factors))
    sets = {}
    for k in range(n_factors):
        genes = rng.choice(n_genes, 20, replace=False)
        sets[f"REACTOME_ACTIVATION_OF_A_PATHWAY_WITH_A_VERY_LONG_NAME_{k + 1}_IN_THE_MIDDLE_OF_IT"] = [
            f"g{i}" for i in genes
        ]
        if k != 2:
            loadings[genes, k] += -2 if k == 1 else 2
    names = [f"Factor {i + 1}" for i in range(n_factors)]
    adata.varm["distaff_loadings"] = pd.DataFrame(loadings, index=adata.var_names, columns=names)
    sets["REACTOME_COPY"] = sets[next(iter(sets))]
    ds.pp.gene_sets(adata, sets, min_genes=5)
    tl.enrich(adata)
    return adata


@pytest.fixture(scope="module", params=["memory", "h5ad", "zarr"])
def enriched(request, tmp_path_factory) -> anndata.AnnData:
    """Read only."""
    adata = enriched_adata()
    if request.param == "memory":
        return adata
    path = tmp_path_factory.mktemp("enriched") / f"a.{request.param}"
    getattr(adata, f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)


def rows(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def test_dots(enriched) -> None:
    ax = pl.enrichment(enriched, n_sets=1)
    assert columns(ax) == [f"Factor {i}" for i in (1, 2, 3, 4)]
    assert ax.get_ylabel() == "gene set (REACTOME)"
    assert len(set(rows(ax))) == 3
    assert all("…" in row and len(row) < 65 for row in rows(ax))
    table = enriched.uns["distaff"]["enrich"]["table"].astype({"factor": str, "gene_set": str})
    dots = ax.collections[0]
    drawn = {
        (int(x), int(y)): float(s) for (x, y), s in zip(dots.get_offsets(), dots.get_array(), strict=True)
    }
    first = (
        table[table["q_value"] < 0.05].groupby("factor", sort=False).head(1).set_index("factor")["statistic"]
    )
    assert drawn[0, 0] == pytest.approx(first["Factor 1"])
    assert drawn[1, 1] == pytest.approx(first["Factor 2"])
    assert drawn[1, 1] < 0
    assert drawn[3, 2] == pytest.approx(first["Factor 4"])


def test_nothing_found_is_said(enriched) -> None:
    table = enriched.uns["distaff"]["enrich"]["table"]
    kept = table["q_value"].copy()
    assert pl.enrichment(enriched).get_title() == ""
    table["q_value"] = 0.9
    assert pl.enrichment(enriched).get_title() == "no gene set with q < 0.05"
    table["q_value"] = kept  # the fixture is shared


def test_area_is_the_strength(enriched) -> None:
    ax = pl.enrichment(enriched)
    table = enriched.uns["distaff"]["enrich"]["table"]
    statistic, size = ax.collections[0].get_array(), ax.collections[0].get_sizes()
    q = [table["q_value"][np.isclose(table["statistic"], s)].iloc[0] for s in statistic]
    np.testing.assert_allclose(size, 9.5 * np.minimum(-np.log10(q), 10))
    rims = ax.collections[0].get_edgecolors()
    np.testing.assert_array_equal([len(rim) > 0 and rim[3] > 0 for rim in rims], np.array(q) < 0.05)


def test_one_factor(enriched) -> None:
    ax = pl.enrichment(enriched, "Factor 2")
    table = enriched.uns["distaff"]["enrich"]["table"].astype({"factor": str})
    own = table[(table["factor"] == "Factor 2") & (table["q_value"] < 0.05)]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], own["statistic"].sort_values()[::-1])
    assert next(text.get_text() for text in ax.texts) == "q"
    assert ax.get_title() == "Factor 2"
    # nothing is enriched: what there is, in grey
    ax = pl.enrichment(enriched, "Factor 3")
    assert len(ax.patches) == 4
    assert {bar.get_facecolor()[:3] for bar in ax.patches} == {(0.8, 0.8, 0.8)}


def test_factors_are_turned_as_in_their_table() -> None:
    adata = enriched_adata()
    adata.obsm["X_distaff"] = -np.random.default_rng(0).gamma(1.0, size=(3, 4)).astype(np.float32)
    tl.factors(adata)
    adata.uns["distaff"]["factors"]["direction"] = [1, -1, 1, 1]
    ax = pl.enrichment(adata, "Factor 2", n_sets=1)
    assert ax.patches[0].get_width() > 0


def test_own_axes_and_errors(enriched) -> None:
    ax = plt.figure().subplots()
    assert pl.enrichment(enriched, ax=ax) is ax
    with pytest.raises(KeyError, match="factors must name rows.*'Factor 9'"):
        pl.enrichment(enriched, "Factor 9")
    with pytest.raises(ValueError, match="n_sets must be >= 1"):
        pl.enrichment(enriched, n_sets=0)
    with pytest.raises(KeyError, match=r"'enrich'.*tl.enrich\(adata, key='nope'\)"):
        pl.enrichment(enriched, key="nope")
    adata = enriched.copy()
    tl.enrich(adata, min_genes=50)
    with pytest.raises(ValueError, match="must have been tested"):
        pl.enrichment(adata)


def test_three_hundred_factors(tmp_path) -> None:
    adata = enriched_adata(300)
    ax = pl.enrichment(adata, save=tmp_path / "a.pdf")
    assert len(columns(ax)) == 15
    assert len(set(rows(ax))) == len(rows(ax)) >= 12
    assert (tmp_path / "a.pdf").stat().st_size < 200_000
