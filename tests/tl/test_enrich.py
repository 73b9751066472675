"""tl.enrich: finds what is there, counts each test once, survives a file, explains bad input."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import stats
from sklearn.decomposition import NMF

import distaff as ds
from distaff import tl


@pytest.fixture
def adata() -> anndata.AnnData:
    """Set "up" is high in factor b, "down" low in it; "copy" holds the genes of "up", "inner" half of them."""
    rng = np.random.default_rng(0)
    data = anndata.AnnData(np.ones((3, 400), dtype=np.float32))
    data.var_names = [f"g{i}" for i in range(400)]
    loadings = rng.standard_t(3, size=(400, 3))
    loadings[:20, 1] += 4
    loadings[20:40, 1] -= 4
    data.varm["distaff_loadings"] = pd.DataFrame(loadings, index=data.var_names, columns=["a", "b", "c"])
    genes = list(data.var_names)
    sets = {"up": genes[:20], "down": genes[20:40], "random": genes[100:150], "few": genes[:3]}
    sets |= {"copy": genes[:20], "inner/x": genes[:10]}
    with pytest.warns(UserWarning, match="same genes|cannot be columns"):
        ds.pp.gene_sets(data, sets, min_genes=2)
    return data


def table_of(adata) -> pd.DataFrame:
    return adata.uns["distaff"]["enrich"]["table"]


@pytest.mark.parametrize("method", ["moments", "ulm"])
def test_finds_what_is_enriched_with_its_sign(adata, method) -> None:
    assert tl.enrich(adata, method=method) is None
    table = table_of(adata)
    found = table[table["q_value"] < 0.01]
    assert set(found["factor"]) == {"b"}
    signs = dict(zip(found["gene_set"], np.sign(found["statistic"]), strict=True))
    assert signs == {"up": 1, "copy": 1, "inner/x": 1, "down": -1}
    assert (np.sign(found["effect"]) == np.sign(found["statistic"])).all()
    assert table["factor"].tolist() == ["a"] * 6 + ["b"] * 6 + ["c"] * 6


def test_effect_is_the_difference_of_means(adata) -> None:
    tl.enrich(adata)
    L = adata.varm["distaff_loadings"]["b"].to_numpy()
    row = table_of(adata).set_index(["factor", "gene_set"]).loc[("b", "down")]
    assert row["effect"] == pytest.approx(L[20:40].mean() - np.delete(L, range(20, 40)).mean())
    assert row["n_genes"] == 20


def test_equal_sets_are_one_test_and_small_ones_none(adata) -> None:
    tl.enrich(adata)
    table = table_of(adata).set_index(["factor", "gene_set"])
    few = table.xs("few", level="gene_set")
    assert few[["effect", "statistic", "p_value", "q_value"]].isna().all(axis=None)
    twins = table.xs("copy", level="gene_set")
    assert (twins["same_as"] == "up").all()
    assert (table.drop("copy", level="gene_set")["same_as"] == "").all()
    pd.testing.assert_series_equal(twins["q_value"], table.xs("up", level="gene_set")["q_value"])
    once = table.drop(["copy", "few"], level="gene_set")
    np.testing.assert_allclose(once["q_value"], stats.false_discovery_control(once["p_value"]))


def test_same_genes_with_other_weights_are_another_set(adata) -> None:
    weights = np.zeros((400, 2))
    weights[:40] = 1
    weights[20:40, 1] = -1
    adata.varm["signed"] = pd.DataFrame(weights, index=adata.var_names, columns=["all up", "up and down"])
    tl.enrich(adata, set_key="signed")
    table = table_of(adata).set_index(["factor", "gene_set"]).loc["b"]
    assert table.loc["up and down", "statistic"] > 5
    assert abs(table.loc["all up", "statistic"]) < 2
    assert (table["same_as"] == "").all()


def test_inactive_and_constant_factors_are_not_tested(adata) -> None:
    adata.varm["distaff_loadings"]["a"] = 0.1
    adata.uns["distaff"] = {"factors": pd.DataFrame({"active": [True, True, False]}, index=list("abc"))}
    tl.enrich(adata)
    missing = table_of(adata).groupby("factor")["q_value"].apply(lambda q: q.isna().sum())
    assert missing.to_dict() == {"a": 6, "b": 1, "c": 6}


def test_any_table_of_varm(adata) -> None:
    adata.varm["PCs"] = adata.varm["distaff_loadings"].to_numpy()
    other = tl.enrich(adata, use_loadings="PCs", copy=True)
    assert table_of(other)["factor"].unique().tolist() == ["Factor 1", "Factor 2", "Factor 3"]
    assert "distaff" not in adata.uns


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(adata, tmp_path, kind) -> None:
    tl.enrich(adata)
    path = tmp_path / f"a.{kind}"
    getattr(adata, f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path).uns["distaff"]["enrich"]
    pd.testing.assert_frame_equal(
        back["table"], table_of(adata), check_dtype=False, check_index_type=False, check_categorical=False
    )
    assert back["params"] == adata.uns["distaff"]["enrich"]["params"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"set_key": "nope"}, KeyError, "set_key must name a slot.*'nope'.*pp.gene_sets.*'gene_sets'"),
        ({"key": "other"}, KeyError, "use_loadings must name a slot.*'other_loadings'.*tl.loadings"),
        ({"method": "gsea"}, ValueError, "method must be one of 'moments', 'ulm'"),
        ({"min_genes": 0}, ValueError, "min_genes must be >= 1"),
        ({"use_loadings": "bad"}, ValueError, r"adata.varm\['bad'\] must be finite.*'g7'"),
    ],
)
def test_bad_input(adata, options, kind, message) -> None:
    bad = np.ones((400, 2))
    bad[7, 1] = np.nan
    adata.varm["bad"] = bad
    with pytest.raises(kind, match=message):
        tl.enrich(adata, **options)


def test_names_the_factors_of_blood_cells(data_dir) -> None:
    adata = anndata.read_h5ad(data_dir / "kang_pbmc_2k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    nmf = NMF(10, init="nndsvd", random_state=0, tol=1e-3)
    adata.obsm["X_distaff"] = nmf.fit_transform(adata.X)
    adata.varm["distaff_loadings"] = nmf.components_.T
    ds.pp.gene_sets(adata, data_dir / "hallmark_v7.5.1.symbols.gmt")
    tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    tl.enrich(adata)
    stimulated = adata.uns["distaff"]["rank_factors"]["table"]["factor"].iloc[0]
    first = table_of(adata).set_index("factor").loc[stimulated].iloc[:2]
    names = {"HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"}
    assert set(first["gene_set"]) == names
    assert (first["q_value"] < 1e-6).all()
    assert (first["statistic"] > 0).all()


def test_random_sets_in_real_loadings_are_not_found(data_dir) -> None:
    adata = anndata.read_h5ad(data_dir / "kang_pbmc_2k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=1000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    loadings = NMF(10, init="nndsvd", random_state=0, tol=1e-3).fit(adata.X).components_.T
    ds.pp.gene_sets(adata, data_dir / "reactome_c2cp_v4.0.symbols.gmt")
    rng = np.random.default_rng(4321)
    found = {"moments": 0, "ulm": 0}
    for _ in range(60):
        adata.varm["distaff_loadings"] = loadings[rng.permutation(len(loadings))]
        for method in found:
            tl.enrich(adata, method=method)
            found[method] += (table_of(adata)["q_value"] < 0.05).any()
    assert found["moments"] / 60 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
    assert found["ulm"] > 30  # the t test does find them


def test_genes_that_were_not_modelled_count_as_if_they_were_not_there():
    rng = np.random.default_rng(3)
    names = [f"g{i}" for i in range(60)]
    loadings = pd.DataFrame(rng.normal(size=(60, 2)), index=names, columns=["Factor 1", "Factor 2"])
    loadings.iloc[45:] = np.nan
    tables = []
    for n in (60, 45):
        adata = anndata.AnnData(np.ones((2, n)), var=pd.DataFrame(index=names[:n]))
        adata.varm["distaff_loadings"] = loadings[:n]
        ds.pp.gene_sets(adata, {"A": [*names[:10], *names[50:55]], "B": names[20:30]}, min_genes=5)
        ds.tl.enrich(adata)
        tables.append(adata.uns["distaff"]["enrich"]["table"])
    pd.testing.assert_frame_equal(*tables)
    loadings.iloc[3, 1] = np.nan
    adata.varm["distaff_loadings"] = loadings[:45]
    with pytest.raises(ValueError, match="must be finite, got another value for gene 'g3'"):
        ds.tl.enrich(adata)
