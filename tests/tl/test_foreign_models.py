"""Models of scvi-tools, PCA and NMF give the same tables as models of ours, and need no model afterwards."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
from sklearn.decomposition import NMF, PCA

import distaff as ds
from distaff import tl

FAST = {"batch_size": 64, "accelerator": "cpu", "enable_progress_bar": False}
DRVI = getattr(scvi.external, "DRVI", None)
MODELS = {"LinearSCVI": scvi.model.LinearSCVI, "SCVI": scvi.model.SCVI, "DRVI": DRVI}
LINEAR = ("LinearVAE", "LinearSCVI", "PCA", "NMF")
N = 4


def counts(n_cells=160, n_genes=30):
    rng = np.random.default_rng(0)
    usage = rng.gamma(0.5, 2.0, (n_cells, 3))
    adata = anndata.AnnData(rng.poisson(1 + usage @ rng.gamma(0.3, 2.0, (3, n_genes))).astype(np.float32))
    adata.var_names = [f"g{i}" for i in range(n_genes)]
    adata.obs_names = [f"c{i}" for i in range(n_cells)]
    adata.obs["condition"] = np.where(usage[:, 0] > np.median(usage[:, 0]), "high", "low")
    adata.obs["donor"] = [f"d{i % 4}" for i in range(n_cells)]
    ds.pp.gene_sets(adata, {"a": adata.var_names[:8], "b": adata.var_names[6:16]}, min_genes=5)
    return adata


def trained(cls, adata):
    cls.setup_anndata(adata)
    model = cls(adata, n_latent=N)
    model.train(15, **FAST)
    return model


def fitted(name, adata):
    """Latent and loadings of sklearn, as a user would store them."""
    X = np.log1p(adata.X)
    model = PCA(N, random_state=0) if name == "PCA" else NMF(N, init="nndsvda", random_state=0, max_iter=500)
    adata.obsm["X_run"] = model.fit_transform(X).astype(np.float32)
    adata.varm["run_loadings"] = model.components_.T


def analysed(name):
    """All tools on one latent, under the key "run"."""
    adata = counts()
    model = None
    if name in ("PCA", "NMF"):
        fitted(name, adata)
    elif name == "DRVI" and DRVI is None:
        pytest.skip("scvi-tools before 1.5 has no DRVI")
    else:
        model = trained(ds.model.LinearVAE if name == "LinearVAE" else MODELS[name], adata)
        tl.latent(adata, model, key="run")
        if name in LINEAR:
            tl.loadings(adata, model, key="run")
        tl.traverse(adata, model, key="run")
    tl.factors(adata, model, key="run")
    if name in LINEAR:
        tl.enrich(adata, key="run")
    tl.rank_factors(adata, "condition", sample_key="donor", key="run")
    tl.disentanglement(adata, "condition", metrics=["mig", "sap"], key="run", references=None)
    adata.obsm["X_again"] = np.asarray(adata.obsm["X_run"])[:, ::-1].copy()
    tl.consensus(adata, ["run", "again"])
    return adata, model


@pytest.fixture(scope="module")
def ours():
    return analysed("LinearVAE")[0]


@pytest.fixture(scope="module", params=["LinearSCVI", "SCVI", "DRVI", "PCA", "NMF"])
def theirs(request):
    return request.param, *analysed(request.param)


def tables(adata):
    """Every table that the tools write, by name."""
    entry, agreed = adata.uns["run"], adata.uns["consensus"]
    found = {
        "factors": entry["factors"],
        "rank_factors": entry["rank_factors"]["table"],
        "groups": entry["rank_factors"]["groups"],
        "scores": entry["disentanglement"]["scores"],
        "matrix": entry["disentanglement"]["matrices"]["mig"],
        "consensus": agreed["consensus"],
        "members": agreed["consensus_members"],
        "consensus factors": agreed["factors"],
    }
    if "enrich" in entry:
        found["enrich"] = entry["enrich"]["table"]
    if "run_loadings" in adata.varm and isinstance(adata.varm["run_loadings"], pd.DataFrame):
        found["loadings"] = adata.varm["run_loadings"]
    if "traversal" in entry:
        found["range"] = entry["traversal"]["range"]
        found["traversal"] = adata.varm["run_traversal"]
    return found


def form(table: pd.DataFrame) -> dict[str, str]:
    """Columns with the kind of their values: number, whole number, yes or no, text."""
    return {
        column: "text" if dtype.kind in "OTU" or str(dtype).startswith("str") else dtype.kind
        for column, dtype in table.dtypes.items()
    }


def test_tables_are_like_ours(ours, theirs) -> None:
    name, adata, _ = theirs
    expected, found = tables(ours), tables(adata)
    for title, table in found.items():
        wanted = form(expected[title])
        if name not in LINEAR:  # what is read from loadings is not there
            of_loadings = {"l2_norm", "n_genes", "top_genes"}
            wanted = {column: kind for column, kind in wanted.items() if column not in of_loadings}
        assert form(table) == wanted, title
        assert type(table.index) is type(expected[title].index), title
    names = [f"Factor {i + 1}" for i in range(N)]
    assert list(found["factors"].index) == names
    assert list(found["matrix"].index) == names
    assert set(found["rank_factors"]["factor"]) == set(names)
    for title in {"loadings", "traversal"} & set(found):
        assert list(found[title]) == names
        assert list(found[title].index) == list(adata.var_names)


def test_values_agree_with_an_independent_computation(theirs) -> None:
    name, adata, model = theirs
    Z = np.asarray(adata.obsm["X_run"], dtype=float)
    table = adata.uns["run"]["factors"]
    if model is not None:
        np.testing.assert_array_equal(adata.obsm["X_run"], model.get_latent_representation())
    if name == "LinearSCVI":
        np.testing.assert_array_equal(adata.varm["run_loadings"], model.get_loadings())
    weight = Z.var(axis=0)
    if name in LINEAR:
        L = np.asarray(adata.varm["run_loadings"], dtype=float)
        weight = weight * ((L - L.mean(axis=0)) ** 2).sum(axis=0)
        np.testing.assert_allclose(table["l2_norm"], np.linalg.norm(L, axis=0), rtol=1e-5)
        skew = np.sign(((L - L.mean(axis=0)) ** 3).sum(axis=0))
        assert table["direction"].tolist() == (skew if name != "NMF" else np.ones(N)).tolist()
        for k, genes in enumerate(table["top_genes"].str.split(", ")):
            assert genes[0] == adata.var_names[np.argmax(table["direction"].iloc[k] * L[:, k])]
    np.testing.assert_allclose(table["variance_explained"], weight / weight.sum(), rtol=1e-4)
    means = (
        pd.DataFrame(Z, index=adata.obs_names).groupby([adata.obs["condition"], adata.obs["donor"]]).mean()
    )
    ranked = adata.uns["run"]["rank_factors"]["table"]
    high = ranked[ranked["group"] == "high"].set_index("factor")["mean"]
    for k in range(N):
        assert high[f"Factor {k + 1}"] == pytest.approx(means.loc["high"][k].mean(), rel=1e-4, abs=1e-6)
    members = adata.uns["consensus"]["consensus"]
    assert members["stability"].tolist() == pytest.approx([1.0] * len(members))
    places = [
        (int(a.split()[1]), int(b.split()[1]))
        for a, b in zip(members["factor_run"], members["factor_again"], strict=True)
    ]
    assert all(a + b == N + 1 for a, b in places)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_all_goes_on_from_a_file_without_the_model(theirs, tmp_path, kind) -> None:
    name, adata, _ = theirs
    path = tmp_path / f"a.{kind}"
    getattr(adata.copy(), f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path)
    for title, table in tables(adata).items():
        pd.testing.assert_frame_equal(
            tables(back)[title], table, check_dtype=False, check_index_type=False, check_column_type=False
        )
    tl.rename_factors(back, {"Factor 2": "stress"}, key="run")
    tl.factors(back, key="run")
    tl.rank_factors(back, "condition", sample_key="donor", key="run")
    tl.disentanglement(back, "condition", metrics="mig", key="run", references=None)
    tl.consensus(back, ["run", "again"], key="second")
    tl.regress_out_factors(back, "stress", key="run")
    assert list(back.uns["run"]["factors"].index)[1] == "stress"
    assert "stress" in set(back.uns["run"]["rank_factors"]["table"]["factor"])
    assert "stress" in set(back.uns["second"]["consensus"]["factor_run"])
    columns = ["rank", "variance_explained", "direction"]
    np.testing.assert_allclose(back.uns["run"]["factors"][columns], adata.uns["run"]["factors"][columns])
    if name in LINEAR:
        tl.enrich(back, key="run")
        assert "top_genes" in back.uns["run"]["factors"]
        assert "stress" in set(back.uns["run"]["enrich"]["table"]["factor"])


def test_names_stay_with_a_model_of_others() -> None:
    adata = counts()
    model = trained(scvi.model.LinearSCVI, adata)
    tl.latent(adata, model)
    tl.rename_factors(adata, {"Factor 2": "stress"})
    tl.latent(adata, model)
    tl.loadings(adata, model)
    tl.traverse(adata, model)
    for names in (
        adata.uns["distaff"]["factors"].index,
        adata.varm["distaff_loadings"],
        adata.varm["distaff_traversal"],
    ):
        assert list(names) == ["Factor 1", "stress", "Factor 3", "Factor 4"]


def test_what_a_model_cannot_do_is_said_with_the_way_out(theirs) -> None:
    name, adata, model = theirs
    adata = adata.copy()
    if model is None:
        with pytest.raises(TypeError, match="encoder and a decoder.*got NMF"):
            tl.traverse(adata, NMF())
        return
    if name in LINEAR:
        return
    with pytest.raises(TypeError, match=rf"must have loadings.*got {name}.*tl\.traverse\(adata, model\)"):
        tl.loadings(adata, model)
    with pytest.raises(KeyError, match="use_loadings must name a slot of adata.varm.*Run tl.loadings first"):
        tl.enrich(adata, key="run")
    tl.enrich(adata, key="run", use_loadings="run_traversal")
    assert set(adata.uns["run"]["enrich"]["table"]["factor"]) == set(adata.uns["run"]["factors"].index)
    with pytest.raises(ValueError, match="Runs must have loadings.*'run', 'again'"):
        tl.consensus(adata, ["run", "again"], by="loadings")
