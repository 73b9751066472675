"""What the figures of factors share: which factors, in which direction, which errors, nothing written."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from distaff import pl
from distaff.pl._factors import centered, choose, factor_values, read_factors, read_loadings

FIGURES = [pl.top_genes, pl.variance, pl.correlation, pl.terms, pl.density, pl.loadings]


def first_axes(result):
    return result.ravel()[0] if isinstance(result, np.ndarray) else result


def test_default_is_the_active_ones_by_rank(stored_factors) -> None:
    table = read_factors(stored_factors, "distaff")
    ranked = list(table.sort_values("rank").index)
    assert ranked[-1] == "still"
    assert choose(table, None, default=3) == ranked[:3]
    assert choose(table, None, default=9) == ranked[:5]
    assert choose(table, 2, default=9) == ranked[:2]
    assert choose(table, "still", default=9) == ["still"]
    assert choose(table, ["E", "B", "E"], default=9) == ["E", "B"]
    assert choose(table.assign(active=False), None, default=9) == ranked


def test_latent_and_loadings_are_turned(stored_factors) -> None:
    table = read_factors(stored_factors, "distaff")
    assert table.loc["C", "direction"] == -1
    Z = np.asarray(stored_factors.obsm["X_distaff"])
    np.testing.assert_array_equal(
        factor_values(stored_factors, "distaff", table, ["C", "E"]),
        Z[:, [2, 4]] * [-1, table.loc["E", "direction"]],
    )
    L = read_loadings(stored_factors, "distaff", table)
    assert L["C"].idxmax() == "gene5"
    assert L.loc["gene5", "C"] == 12.0


def test_loadings_of_another_order_and_without_names(factored) -> None:
    table = read_factors(factored, "distaff")
    expected = read_loadings(factored, "distaff", table)
    adata = factored.copy()
    adata.varm["distaff_loadings"] = factored.varm["distaff_loadings"][
        ["E", "D", "still", "B", "HALLMARK_A", "C"]
    ]
    pd.testing.assert_frame_equal(read_loadings(adata, "distaff", table), expected)
    adata.varm["distaff_loadings"] = factored.varm["distaff_loadings"].to_numpy()
    pd.testing.assert_frame_equal(read_loadings(adata, "distaff", table), expected)
    adata.varm["distaff_loadings"] = np.ones((40, 5))
    with pytest.raises(ValueError, match="must have 6 columns, got 5"):
        read_loadings(adata, "distaff", table)


def test_centered() -> None:
    dense = pd.DataFrame({"dense": [1.0, -2.0, 4.0], "sparse": [0.0, 3.0, 0.0]})
    assert centered(dense).to_numpy().T.tolist() == [[0.0, -3.0, 3.0], [0.0, 3.0, 0.0]]
    assert centered(dense.abs()).equals(dense.abs())


@pytest.mark.parametrize("figure", FIGURES)
def test_only_reads(factored, figure) -> None:
    before = factored.copy()
    figure(factored)
    pd.testing.assert_frame_equal(factored.uns["distaff"]["factors"], before.uns["distaff"]["factors"])
    pd.testing.assert_frame_equal(factored.obsm["X_distaff"], before.obsm["X_distaff"])
    pd.testing.assert_frame_equal(factored.obs, before.obs)
    assert set(factored.uns["distaff"]) == set(before.uns["distaff"])


@pytest.mark.parametrize("figure", FIGURES)
def test_save_show_and_ax(factored, figure, tmp_path, monkeypatch) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    figure(factored, save=tmp_path / "both")
    assert {path.name for path in tmp_path.iterdir()} == {"both.png", "both.pdf"}
    assert not shown
    ax = plt.figure().subplots()
    assert first_axes(figure(factored, ax=ax)) is ax
    assert not shown
    figure(factored, ax=ax, show=True)
    assert shown == [1]


@pytest.mark.parametrize("figure", FIGURES)
def test_missing_slots(factored, figure) -> None:
    with pytest.raises(
        KeyError, match=r"uns\['nope'\] must hold 'factors', got nothing. Run distaff.tl.factors"
    ):
        figure(factored, key="nope")
    adata = factored.copy()
    adata.uns["distaff"]["factors"] = adata.uns["distaff"]["factors"].drop(columns="rank")
    with pytest.raises(KeyError, match="must hold ranks"):
        figure(adata)
    with pytest.raises(KeyError, match="'nope'.*There are 'B'"):
        figure(factored, ["nope", "B"])


@pytest.mark.parametrize("figure", [pl.top_genes, pl.loadings])
def test_missing_loadings(factored, figure) -> None:
    adata = factored.copy()
    del adata.varm["distaff_loadings"]
    with pytest.raises(KeyError, match=r"must hold the loadings 'distaff_loadings'.*tl\.loadings"):
        figure(adata)


@pytest.mark.parametrize("figure", [pl.correlation, pl.terms, pl.density])
def test_latent_of_another_model(factored, figure) -> None:
    adata = factored.copy()
    adata.obsm["X_distaff"] = np.ones((400, 2))
    with pytest.raises(KeyError, match="must hold the 6 factors of the table, got 2 columns"):
        figure(adata)


@pytest.mark.parametrize("figure", [pl.terms, pl.loadings])
def test_two_factors(factored, figure) -> None:
    with pytest.raises(ValueError, match="two different factors, got 'B'"):
        figure(factored, ["B", "B"])


@pytest.mark.parametrize("figure", [pl.top_genes, pl.density])
def test_one_ax_for_one_factor(factored, figure) -> None:
    ax = plt.figure().subplots()
    with pytest.raises(ValueError, match="ax must be left out for several factors, got 2 factors"):
        figure(factored, 2, ax=ax)
