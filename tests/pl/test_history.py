"""pl.history: which panels, which curves."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import pl


def adata_with(curves: pd.DataFrame, dimensions: pd.DataFrame | None = None) -> anndata.AnnData:
    adata = anndata.AnnData(np.ones((2, 2), dtype=np.float32))
    adata.uns["distaff"] = {"history": curves}
    if dimensions is not None:
        adata.uns["distaff"]["kl_per_dimension"] = dimensions
    return adata


def curves(n_epochs: int) -> pd.DataFrame:
    epochs = pd.RangeIndex(n_epochs, name="epoch")
    loss = 800 + 1e4 * np.exp(-np.arange(n_epochs))
    table = pd.DataFrame({"train_loss": loss, "reconstruction_loss_train": loss - 10}, index=epochs)
    table["validation_loss"] = np.where(np.arange(n_epochs) % 10 == 0, loss + 5, np.nan)
    table["kl_local_train"] = 10.0
    table["active_units_train"] = 4.0
    return table


def kl(n_epochs: int, n_dims: int) -> pd.DataFrame:
    values = np.linspace(0, 1, n_dims) * np.ones((n_epochs, 1))
    return pd.DataFrame(
        values, index=pd.RangeIndex(n_epochs, name="epoch"), columns=[str(i) for i in range(n_dims)]
    )


TITLES = ["loss", "reconstruction", "KL", "KL of each dimension", "active units"]


@pytest.mark.parametrize(("n_epochs", "n_dims"), [(1, 3), (60, 5), (1500, 100)])
def test_all_panels(n_epochs, n_dims) -> None:
    table = curves(n_epochs)
    axes = pl.history(adata_with(table, kl(n_epochs, n_dims)))
    assert [ax.get_title() for ax in axes] == TITLES
    assert len(axes[3].lines) == n_dims
    train, validation = axes[0].lines
    np.testing.assert_array_equal(train.get_xydata()[:, 1], table["train_loss"])
    np.testing.assert_array_equal(validation.get_xydata()[:, 1], table["validation_loss"].dropna())
    np.testing.assert_array_equal(validation.get_xydata()[:, 0], np.arange(0, n_epochs, 10))
    if n_epochs == 1:
        assert train.get_marker() == "o"
    else:  # the first epochs do not set the scale
        assert axes[0].get_ylim()[1] < 9000
    assert axes[0].get_ylim()[0] <= table["train_loss"].min()


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (["train_loss"], ["loss"]),
        (["validation_loss"], ["loss"]),
        (["active_units_train"], ["active units"]),
        (["kl_local_train", "train_loss"], ["loss", "KL"]),
    ],
)
def test_missing_curves(columns, titles) -> None:
    assert [ax.get_title() for ax in pl.history(adata_with(curves(30)[columns]))] == titles


def test_other_names() -> None:
    table = pd.DataFrame(
        {"elbo_train": [3.0, 2.0], "reconstruction_train": [2.0, 1.0], "kl_train": [1.0, 1.0]}
    )
    assert [ax.get_title() for ax in pl.history(adata_with(table))] == TITLES[:3]


def test_dimensions_only() -> None:
    axes = pl.history(adata_with(pd.DataFrame({"other": [1.0, 2.0]}), kl(2, 3)))
    assert [ax.get_title() for ax in axes] == ["KL of each dimension"]


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(tmp_path, kind) -> None:
    path = tmp_path / f"a.{kind}"
    getattr(adata_with(curves(30), kl(30, 3)), f"write_{kind}")(path)
    axes = pl.history(getattr(anndata, f"read_{kind}")(path))
    np.testing.assert_array_equal(axes[0].lines[0].get_xdata(), np.arange(30))


def test_save(tmp_path) -> None:
    pl.history(adata_with(curves(30)), save=tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="training curve, got 'other'"):
        pl.history(adata_with(pd.DataFrame({"other": [1.0]})))
    with pytest.raises(ValueError, match="training curve"):
        pl.history(adata_with(pd.DataFrame({"train_loss": [np.nan]})))


def test_no_history() -> None:
    with pytest.raises(KeyError, match="uns\\['distaff'\\] must hold 'history', got nothing.*tl.latent"):
        pl.history(anndata.AnnData(np.ones((2, 2))))
