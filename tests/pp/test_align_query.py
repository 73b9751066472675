import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import distaff as ds
from distaff.pp import align_query

FORMATS = {
    "dense": np.asarray,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr array": sparse.csr_array,
    "csc array": sparse.csc_array,
}


def counts(n_cells=6, n_genes=5):
    return np.random.default_rng(0).poisson(1.0, (n_cells, n_genes)).astype(np.float32)


def make(kind="csr", genes="abcde"):
    X = counts(n_genes=len(genes))
    obs = pd.DataFrame({"batch": pd.Categorical(list("xyxyxy"))}, index=[f"c{i}" for i in range(6)])
    var = pd.DataFrame(
        {"gene_ids": [f"id_{g}" for g in genes], "mt": True, "n_cells": range(len(genes)), "mean": 0.5},
        index=list(genes),
    )
    adata = anndata.AnnData(FORMATS[kind](X), obs=obs, var=var)
    adata.layers["counts"] = FORMATS[kind](X.astype(np.int64) * 2)
    return adata


def dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


@pytest.mark.parametrize("kind", FORMATS)
def test_order_padding_and_dropping(kind):
    adata = make(kind)
    with pytest.warns(UserWarning, match="2 of the 5 genes of the model are not in adata .* 'n1', 'n2'"):
        query = align_query(adata, ["e", "n1", "b", "n2", "a"], min_coverage=0.6)
    assert query.var_names.tolist() == ["e", "n1", "b", "n2", "a"]
    assert query.obs_names.equals(adata.obs_names)
    X, zero = counts(), np.zeros(6)
    expected = np.stack([X[:, 4], zero, X[:, 1], zero, X[:, 0]], axis=1)
    for result, source, values in (
        (query.X, adata.X, expected),
        (query.layers["counts"], adata.layers["counts"], 2 * expected),
    ):
        assert type(result) is type(source)
        assert result.dtype == source.dtype
        np.testing.assert_array_equal(dense(result), values)
    assert query.var["padded"].tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(dense(adata.X), X)
    assert adata.shape == (6, 5)
    assert "padded" not in adata.var


def test_columns_of_var_keep_their_kind_and_survive_a_file(tmp_path):
    with pytest.warns(UserWarning, match="1 of the 5"):
        query = align_query(make(), ["new", "b", "c", "d", "e"])
    assert query.var["mt"].tolist() == [False, True, True, True, True]
    assert query.var["gene_ids"].tolist() == ["", "id_b", "id_c", "id_d", "id_e"]
    assert query.var["n_cells"].isna().tolist() == [True, False, False, False, False]
    query.write_h5ad(tmp_path / "query.h5ad")
    read = anndata.read_h5ad(tmp_path / "query.h5ad")
    assert read.var["mt"].dtype == bool
    assert read.var["padded"].tolist() == [True, False, False, False, False]
    np.testing.assert_array_equal(dense(read.X), dense(query.X))


def test_the_rest_comes_along():
    adata = make()
    adata.obsm["X_pca"] = np.ones((6, 2))
    adata.obsp["distances"] = sparse.eye(6, format="csr")
    adata.varm["loadings"] = np.ones((5, 2))
    adata.uns = {"colors": ["red"], "_scvi_uuid": "1", "_scvi_manager_uuid": "2"}
    adata.raw = adata.copy()
    for source in (adata, adata[1:5]):
        query = align_query(source, ["b", "a"])
        assert not query.is_view
        assert query.obs["batch"].tolist() == source.obs["batch"].tolist()
        assert query.obsm["X_pca"].shape == (source.n_obs, 2)
        assert query.obsp["distances"].shape == (source.n_obs, source.n_obs)
        assert query.uns == {"colors": ["red"]}
        assert "loadings" not in query.varm
        assert query.raw.var_names.tolist() == list("abcde")
        query.uns["colors"].append("blue")
        query.obsm["X_pca"][:] = 0
        query.obs["new"] = 1
    assert adata.uns["colors"] == ["red"]
    assert (adata.obsm["X_pca"] == 1).all()
    assert "new" not in adata.obs
    assert adata.var.columns.tolist() == ["gene_ids", "mt", "n_cells", "mean"]


def test_genes_in_order_are_the_same_data():
    adata = make()
    query = align_query(adata, adata.var_names)
    np.testing.assert_array_equal(dense(query.X), dense(adata.X))
    pd.testing.assert_frame_equal(query.var.drop(columns="padded"), adata.var)
    query.X.data[:] = 0
    assert adata.X.data.any()


def test_layers_without_x():
    adata = make()
    adata.X = None
    query = align_query(adata, ["c", "a"])
    assert query.X is None
    np.testing.assert_array_equal(dense(query.layers["counts"]), 2 * counts()[:, [2, 0]])


def test_sparse_is_never_made_dense(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("made dense")

    adata = make()
    for name in ("toarray", "todense"):
        monkeypatch.setattr(sparse.csr_matrix, name, refuse)
    with pytest.warns(UserWarning, match="1 of the 6"):
        query = align_query(adata, [*"abcde", "new"])
    assert query.X.nnz == adata.X.nnz


def test_a_model_gives_its_genes():
    class Model:
        def get_var_names(self):
            return np.array(["d", "c"])

    assert align_query(make(), Model()).var_names.tolist() == ["d", "c"]


def test_a_trained_model_takes_the_result():
    adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, n_latent=3)
    model.train(1, seed=0, accelerator="cpu", enable_progress_bar=False)
    shuffled = adata[:, np.random.default_rng(0).permutation(200)].copy()
    aligned = align_query(shuffled, model)
    np.testing.assert_array_equal(
        model.get_latent_representation(aligned), model.get_latent_representation(adata)
    )
    fewer = shuffled[:, 10:].copy()
    with pytest.warns(UserWarning, match="10 of the 200 genes"):
        padded = align_query(fewer, model)
    assert np.isfinite(model.get_latent_representation(padded)).all()


def test_too_few_genes():
    with pytest.raises(
        ValueError, match=r"adata must have 0.8 of the 4 genes .* got 0.5, without 2 genes: 'y', 'z'"
    ):
        align_query(make(), ["a", "y", "z", "b"])
    with pytest.raises(ValueError, match="got 0, without 2 genes"):
        align_query(make(), ["y", "z"], min_coverage=0)
    with pytest.raises(ValueError, match="3 names differ in upper and lower case only"):
        align_query(make(), ["A", "B", "C"])
    with pytest.raises(ValueError, match="names of the model look like Ensembl ids"):
        align_query(make(), ["ENSG00000000001", "ENSG00000000002"])


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("ab", TypeError, "got 'ab'"),
        (3, TypeError, "model must have get_var_names"),
        ({"rna": ["a"]}, TypeError, "names of several modalities"),
        ([], ValueError, "The model must have genes"),
        (["a", 1], TypeError, r"Genes of the model must be strings, got 1 \(int\)"),
        (["a", "b", "a"], ValueError, "Genes of the model must be unique, got 1 repeated gene names: 'a'"),
    ],
)
def test_bad_models(model, kind, message):
    with pytest.raises(kind, match=message):
        align_query(make(), model)


def test_bad_data(tmp_path):
    with pytest.raises(ValueError, match="min_coverage must be <= 1"):
        align_query(make(), ["a"], min_coverage=2)
    adata = make()
    adata.var_names = list("abcda")
    with pytest.raises(ValueError, match=r"adata.var_names must be unique, got 1 .*: 'a'"):
        align_query(adata, ["a"])
    make().write_h5ad(tmp_path / "data.h5ad")
    backed = anndata.read_h5ad(tmp_path / "data.h5ad", backed="r")
    with pytest.raises(TypeError, match="adata must be in memory"):
        align_query(backed, ["a"])
    backed.file.close()
