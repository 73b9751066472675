"""pl.density: curves against scipy's kernel density."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from distaff import pl


def test_curves_are_kernel_densities(stored_factors) -> None:
    axes = pl.density(stored_factors, ["C", "B"], color="cell_type")
    sign = stored_factors.uns["distaff"]["factors"]["direction"]
    for ax, name in zip(axes, ["C", "B"], strict=True):
        assert ax.get_title() == name
        assert [line.get_label() for line in ax.lines] == ["B", "Mono", "T"]
        for line in ax.lines:
            cells = (stored_factors.obs["cell_type"] == line.get_label()).to_numpy()
            values = sign[name] * stored_factors.obsm["X_distaff"].loc[cells, name]
            x, y = line.get_data()
            expected = gaussian_kde(values)(x)
            np.testing.assert_allclose(y, expected, atol=0.02 * expected.max())


def test_all_cells_as_one(factored) -> None:
    axes = pl.density(factored)
    assert len(axes) == 5
    assert all(len(ax.lines) == 1 for ax in axes)
    x, y = axes[0].lines[0].get_data()
    assert y.sum() * (x[1] - x[0]) == pytest.approx(1.0, abs=0.02)
    assert not axes[0].figure.legends


def test_a_legend_for_the_groups(factored) -> None:
    legend = pl.density(factored, color="cell_type")[0].figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["B", "Mono", "T"]
    assert legend.get_title().get_text() == "cell_type"


def test_groups_and_factors_without_spread(factored) -> None:
    adata = factored.copy()
    adata.obs["one"] = ["a", *["b"] * 399]
    ax = pl.density(adata, "still", color="one")[0]
    x = ax.lines[0].get_xdata()
    for line in ax.lines:
        assert np.isfinite(line.get_ydata()).all()
        assert abs(x[np.argmax(line.get_ydata())]) < 0.01


def test_a_value_that_many_share_is_a_line(factored) -> None:
    adata = factored.copy()
    off = adata.obs["cell_type"].isin(["T", "Mono"]).to_numpy() & (np.arange(400) % 4 > 0)
    sign = adata.uns["distaff"]["factors"].loc["B", "direction"]
    adata.obsm["X_distaff"].loc[off, "B"] = -30.0 * sign  # of most T cells and monocytes, of no B cell
    (ax,) = pl.density(adata, ["B"], color="cell_type")
    floor, *curves = ax.lines
    assert set(floor.get_xdata()) == {-30.0}
    for line in curves:
        x, y = line.get_data()
        share = 1 - off[adata.obs["cell_type"] == line.get_label()].mean()
        assert y.sum() * (x[1] - x[0]) == pytest.approx(share, abs=0.02)
        assert x[np.argmax(y)] > -20


def test_bad_input(factored) -> None:
    with pytest.raises(ValueError, match=r"'age'\] must hold 1 to 40 groups, got 380. Cut numbers"):
        pl.density(factored, color="age")
    with pytest.raises(KeyError, match="color must name a column"):
        pl.density(factored, color="nope")
    with pytest.raises(ValueError, match="n_columns must be >= 1"):
        pl.density(factored, n_columns=0)
