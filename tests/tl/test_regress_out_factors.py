"""tl.regress_out_factors: what the factor says of the condition is gone, all else stays."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from distaff import tl
from distaff.tl import regress_out_factors

NAMES = ["identity", "stress", "cycle"]


def stressed(n=600, n_genes=40):
    """The condition moves one factor, a cell type another."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(n)])
    obs["condition"] = np.tile(["x", "y"], n // 2)
    obs["cell_type"] = np.repeat(["A", "B"], n // 2)
    Z = rng.normal(size=(n, 3))
    Z[:, 0] += 4 * (obs["cell_type"] == "B")
    Z[:, 1] += 4 * (obs["condition"] == "y")
    L = rng.normal(size=(n_genes, 3))
    adata = anndata.AnnData((Z @ L.T + rng.normal(size=(n, n_genes)) + 5).astype(np.float32), obs=obs)
    adata.obsm["X_distaff"] = Z.astype(np.float32)
    adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=NAMES)
    adata.uns["distaff"] = {
        "factors": pd.DataFrame({"kind": "latent", "active": [True, True, False], "kl": 1.0}, index=NAMES)
    }
    return adata


def accuracy(X, labels) -> float:
    return cross_val_score(LogisticRegression(max_iter=500), X, labels, cv=5).mean()


def test_the_condition_is_gone_and_other_factors_stay() -> None:
    adata = stressed()
    before = adata.copy()
    assert tl.regress_out_factors(adata, "stress", layer_added="corrected") is None
    Z, Y = adata.obsm["X_distaff_regressed"], adata.layers["corrected"]
    condition, cell_type = adata.obs["condition"], adata.obs["cell_type"]
    assert accuracy(before.obsm["X_distaff"], condition) > 0.9
    assert accuracy(before.X, condition) > 0.9
    for X in (Z, Y):
        assert accuracy(X, condition) < 0.57
        assert accuracy(X, cell_type) > 0.9
    np.testing.assert_array_equal(Z, before.obsm["X_distaff"][:, [0, 2]])
    assert Y.dtype == np.float32
    np.testing.assert_allclose(Y.mean(0), before.X.mean(0), atol=1e-4)
    np.testing.assert_array_equal(adata.X, before.X)
    np.testing.assert_array_equal(adata.obsm["X_distaff"], before.obsm["X_distaff"])
    entry = adata.uns["distaff_regressed"]
    assert list(entry["factors"].index) == ["identity", "cycle"]
    assert entry["factors"]["active"].tolist() == [True, False]
    assert list(adata.varm["distaff_regressed_loadings"]) == ["identity", "cycle"]
    tl.factors(adata, key="distaff_regressed")
    assert list(adata.uns["distaff_regressed"]["factors"]["rank"]) == [1, 2]


def test_layer_is_the_residual_of_the_joint_fit(monkeypatch) -> None:
    adata = stressed()
    tl.regress_out_factors(adata, ["stress", "cycle"], layer_added="whole")
    Z = np.column_stack([adata.obsm["X_distaff"], np.ones(adata.n_obs)]).astype(float)
    beta = np.linalg.lstsq(Z, adata.X.astype(float), rcond=None)[0]
    centred = Z[:, 1:3] - Z[:, 1:3].mean(0)
    np.testing.assert_allclose(adata.layers["whole"], adata.X - centred @ beta[1:3], atol=1e-4)
    module = __import__("sys").modules[regress_out_factors.__module__]
    monkeypatch.setattr(module, "BLOCK", 7)
    adata.layers["sparse"] = sparse.csr_matrix(adata.X)
    tl.regress_out_factors(adata, ["stress", "cycle"], layer="sparse", layer_added="blocks")
    np.testing.assert_allclose(adata.layers["blocks"], adata.layers["whole"], atol=1e-4)


def test_a_factor_answers_for_its_own_part_only() -> None:
    adata = stressed()
    adata.obsm["X_distaff"][:, 1] += 0.8 * adata.obsm["X_distaff"][:, 0]
    adata.X = adata.obsm["X_distaff"] @ np.eye(3, adata.n_vars) + 0.1
    tl.regress_out_factors(adata, "stress", layer_added="corrected")
    np.testing.assert_allclose(adata.layers["corrected"][:, 0], adata.X[:, 0], atol=1e-4)
    assert np.ptp(adata.layers["corrected"][:, 1]) < 1e-3


def test_without_a_layer_and_with_a_copy() -> None:
    adata = stressed()
    other = tl.regress_out_factors(adata, "cycle", key_added="less", copy=True)
    assert other.obsm["X_less"].shape == (600, 2)
    assert set(other.layers) <= {None}
    assert "X_less" not in adata.obsm
    assert "less" not in adata.uns


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_round_trip(tmp_path, form) -> None:
    adata = stressed()
    tl.regress_out_factors(adata, "cycle", layer_added="corrected")
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    back = getattr(anndata, f"read_{form}")(path)
    np.testing.assert_array_equal(back.layers["corrected"], adata.layers["corrected"])
    assert list(back.uns["distaff_regressed"]["params"]["factors"]) == ["cycle"]


@pytest.mark.parametrize(
    ("factors", "options", "kind", "message"),
    [
        ("nope", {}, KeyError, "factors must name factors of the latent, got 'nope'.*'identity'"),
        ([], {}, ValueError, "factors must name factors of the latent, got none"),
        (NAMES, {}, ValueError, "A factor must be left, got all 3"),
        ("cycle", {"key_added": "distaff"}, ValueError, "key_added must differ from key"),
        ("cycle", {"layer_added": "y", "layer": "z"}, KeyError, "layer must name a layer.*'z'.*'counts'"),
        ("cycle", {"layer_added": "y", "layer": "counts"}, ValueError, "log-normalised, got whole numbers"),
        ("cycle", {"key": "pca"}, KeyError, "X_pca"),
    ],
)
def test_bad_input_changes_nothing(factors, options, kind, message) -> None:
    adata = stressed()
    adata.layers["counts"] = np.ones(adata.shape)
    with pytest.raises(kind, match=message):
        tl.regress_out_factors(adata, factors, **options)
    assert list(adata.obsm) == ["X_distaff"]
    assert set(adata.layers) - {None} == {"counts"}


@pytest.mark.parametrize("name", ["", ".", "_index"])
def test_names_that_no_file_can_hold(name) -> None:
    adata = stressed(60)
    names = [name, *NAMES[1:]]
    adata.uns["distaff"]["factors"].index = names
    adata.varm["distaff_loadings"].columns = names
    with pytest.raises(ValueError, match="factors that stay must be names that files can hold, got"):
        regress_out_factors(adata, "stress")
    assert set(adata.uns) == {"distaff"}
    assert set(adata.obsm) == {"X_distaff"}
    regress_out_factors(adata, name)
    assert list(adata.varm["distaff_regressed_loadings"]) == NAMES[1:]
