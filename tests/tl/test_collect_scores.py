"""tl.collect_scores: what stands under which key, and what must not be pooled."""

from __future__ import annotations

import anndata
import numpy as np
import pytest

import distaff as ds
from distaff import tl


@pytest.fixture(scope="module")
def scored() -> anndata.AnnData:
    """Read only: two runs with settings, and a latent of other origin with scores of its clusters only."""
    rng = np.random.default_rng(0)
    obs = {"cell_type": np.tile(["B", "NK", "T"], 40), "condition": np.repeat(["ctrl", "stim"], 60)}
    adata = anndata.AnnData(np.ones((120, 2), dtype=np.float32), obs=obs)
    for seed in range(2):
        key = f"run{seed}"
        adata.obsm[f"X_{key}"] = rng.normal(size=(120, 3))
        adata.obsm[f"X_{key}"][60:, 0] += 3
        adata.uns[key] = {"params": {"model": "BetaVAE", "seed": seed, "beta": 5.0, "distaff_version": "0"}}
        tl.disentanglement(
            adata, ["cell_type", "condition"], key=key, metrics=["max_spearman", "sap"], references=None
        )
        tl.cluster_agreement(adata, "cell_type", key=key, resolutions=[0.2, 0.5])
    adata.obsm["X_pca"] = rng.normal(size=(120, 3))
    tl.cluster_agreement(adata, "cell_type", key="pca", resolutions=[0.2])
    adata.uns["other"] = {"something": 1}
    return adata


def test_one_row_a_run(scored) -> None:
    table = tl.collect_scores(scored).set_index("key")
    assert set(table.index) == {"run0", "run1", "pca"}
    assert list(table.columns) == ["model", "beta", "capacity", "seed", "max_spearman", "sap", "ari", "nmi"]
    for key in ("run0", "run1"):
        entry = scored.uns[key]
        assert table.loc[key, "max_spearman"] == entry["disentanglement"]["summary"]["max_spearman"]
        assert table.loc[key, "ari"] == entry["cluster_agreement"]["curve"]["ari"].max()
    assert table["seed"].to_dict() == pytest.approx({"run0": 0, "run1": 1, "pca": np.nan}, nan_ok=True)
    assert table.loc["run0", "capacity"] == 0.0
    assert np.isnan(table.loc["pca", "max_spearman"])
    assert not np.isnan(table.loc["pca", "nmi"])


def test_one_row_a_factor(scored) -> None:
    table = tl.collect_scores(scored, ["run1", "run0"], by_factor=True)
    assert list(table["key"].unique()) == ["run1", "run0"]
    one = table[table["key"] == "run0"].set_index("factor")
    scores = scored.uns["run0"]["disentanglement"]["scores"]
    assert set(one.index) == {"cell_type", "cell_type: B", "cell_type: NK", "cell_type: T", "condition"}
    np.testing.assert_array_equal(one["sap"], scores["sap"])
    assert "ari" not in table


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_from_a_file_and_only_read(scored, tmp_path, form) -> None:
    path = tmp_path / f"a.{form}"
    getattr(scored.copy(), f"write_{form}")(path)
    read = getattr(anndata, f"read_{form}")(path)
    before = set(read.uns["run0"])
    table = tl.collect_scores(read, ["run0", "run1"])
    expected = tl.collect_scores(scored, ["run0", "run1"])
    assert table[["key", "beta", "seed", "max_spearman", "ari"]].equals(
        expected[["key", "beta", "seed", "max_spearman", "ari"]]
    )
    assert set(read.uns["run0"]) == before


def test_settings_of_a_model(make_adata) -> None:
    adata = make_adata(60, 12, covariates=True)
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, n_latent=3, n_hidden=8, beta=2.0, capacity=5.0)
    model.train(1, seed=7, accelerator="cpu", enable_progress_bar=False)
    ds.tl.latent(adata, model, key="a")
    tl.disentanglement(adata, "label", key="a", metrics="max_spearman", references=None, active_only=False)
    row = tl.collect_scores(adata).iloc[0]
    assert (row["model"], row["beta"], row["capacity"], row["seed"]) == ("BetaVAE", 2.0, 5.0, 7)
    assert row["n_latent"] == 3
    assert "distaff_version" not in row


def test_what_must_not_be_pooled(scored) -> None:
    adata = scored.copy()
    tl.disentanglement(adata, "condition", key="run1", metrics="max_spearman", references=None)
    with pytest.raises(
        ValueError, match="of the same factors, got .*'cell_type'.* under 'run0', 'condition'"
    ):
        tl.collect_scores(adata, ["run0", "run1"])
    assert len(tl.collect_scores(adata, ["run0", "run1"], by_factor=True)) == 6
    tl.disentanglement(
        adata, "condition", key="run1", use_rep="X_pca", metrics="max_spearman", references=None
    )
    with pytest.raises(ValueError, match=r"must be of adata.obsm\['X_run1'\], got scores of 'X_pca'"):
        tl.collect_scores(adata)
    tl.cluster_agreement(adata, "condition", key="pca", resolutions=[0.2])
    with pytest.raises(ValueError, match="cluster_agreement scores of the same labels"):
        tl.collect_scores(adata, ["run0", "pca"])


def test_missing_scores(scored) -> None:
    with pytest.raises(KeyError, match=r"uns\['nope'\] must hold scores, got nothing. Run distaff.tl.disen"):
        tl.collect_scores(scored, ["run0", "nope"])
    with pytest.raises(KeyError, match="got 'something'"):
        tl.collect_scores(scored, ["other"])
    with pytest.raises(TypeError, match="keys must be a list of names, got 'run0'"):
        tl.collect_scores(scored, "run0")
    with pytest.raises(KeyError, match="must hold the scores of a latent, got nothing"):
        tl.collect_scores(anndata.AnnData(np.ones((2, 2))))
