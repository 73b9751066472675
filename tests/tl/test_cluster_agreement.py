"""tl.cluster_agreement: what it writes, that it survives a file, and what it says of bad input."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import tl


@pytest.fixture
def adata() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    labels = np.repeat(["B", "T", "NK"], 50).astype(object)
    Z = rng.normal(size=(150, 4))
    Z[:, 0] += 12 * (labels == "B")
    Z[:, 1] += 12 * (labels == "T")
    labels[::10] = None
    data = anndata.AnnData(np.ones((150, 2), dtype=np.float32), obs={"cell_type": pd.Categorical(labels)})
    data.obsm["X_distaff"] = Z
    data.obsm["X_noise"] = rng.normal(size=(150, 4))
    data.uns["distaff"] = {"params": {"model": "BetaVAE"}}
    return data


def test_writes_curve_maxima_and_settings(adata) -> None:
    assert tl.cluster_agreement(adata, "cell_type", resolutions=[0.2, 1.0]) is None
    result = adata.uns["distaff"]["cluster_agreement"]
    assert result["curve"]["resolution"].tolist() == [0.2, 1.0]
    assert result["maxima"]["ari"] == result["curve"]["ari"].max() == 1.0
    assert result["params"]["n_missing"] == 15
    assert result["params"]["label_key"] == "cell_type"
    assert adata.uns["distaff"]["params"] == {"model": "BetaVAE"}


def test_other_representation(adata) -> None:
    tl.cluster_agreement(adata, "cell_type", use_rep="X_noise", key="noise", resolutions=[0.5])
    result = adata.uns["noise"]["cluster_agreement"]
    assert result["maxima"]["ari"] < 0.2
    assert result["params"]["use_rep"] == "X_noise"
    assert "cluster_agreement" not in adata.uns["distaff"]


def test_copy(adata) -> None:
    other = tl.cluster_agreement(adata, "cell_type", resolutions=[0.5], copy=True)
    assert "cluster_agreement" in other.uns["distaff"]
    assert "cluster_agreement" not in adata.uns["distaff"]


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(adata, tmp_path, kind) -> None:
    tl.cluster_agreement(adata, "cell_type", resolutions=[0.2, 1.0], n_neighbors=2**40)
    path = tmp_path / f"a.{kind}"
    getattr(adata, f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path).uns["distaff"]["cluster_agreement"]
    result = adata.uns["distaff"]["cluster_agreement"]
    pd.testing.assert_frame_equal(back["curve"], result["curve"], check_dtype=False)
    assert back["maxima"] == result["maxima"]
    assert back["params"] == result["params"]


@pytest.mark.parametrize(
    ("label_key", "options", "kind", "message"),
    [
        ("nope", {}, KeyError, "label_key must name a column.*'nope'.*'cell_type'"),
        ("cell_type", {"use_rep": "X_pca"}, KeyError, "'X_pca'.*'X_distaff'"),
        ("cell_type", {"resolutions": [-1.0]}, ValueError, "resolutions must be > 0"),
    ],
)
def test_bad_input(adata, label_key, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        tl.cluster_agreement(adata, label_key, **options)
