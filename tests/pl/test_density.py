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
    adata.obs["one"] = [*["a"] * 10, *["b"] * 390]
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


def test_a_group_of_few_cells_is_ticks(factored) -> None:
    adata = factored.copy()
    adata.obs["rare"] = [*["tiny"] * 2, "one", *["A", "B"] * 198, "A"]
    sign = adata.uns["distaff"]["factors"].loc["B", "direction"]
    values = adata.obsm["X_distaff"]["B"].to_numpy(copy=True) * sign
    values[:3] = [0.0, 0.001, 900.0]
    adata.obsm["X_distaff"]["B"] = values * sign
    (ax,) = pl.density(adata, ["B"], color="rare")
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["A", "B", "one (1\xa0cell)", "tiny (2\xa0cells)"]
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == list(lines)
    np.testing.assert_allclose(lines["tiny (2\xa0cells)"].get_xdata(), [0.0, 0.001])
    assert lines["one (1\xa0cell)"].get_xdata() == ax.get_xlim()[1]  # beyond the panel
    assert len({height for line in ax.lines[2:] for height in line.get_ydata()}) == 2
    curve = lines["A"].get_ydata()
    assert ax.get_ylim()[1] < 2 * curve.max()
    assert len(lines["A"].get_xdata()) > 100


def test_like_cells_leave_the_other_curves_to_be_seen(factored) -> None:
    adata = factored.copy()
    adata.obs["rare"] = [*["like"] * 12, *["A", "B"] * 194]
    adata.obsm["X_distaff"].iloc[:12, 1] = 0.0
    (ax,) = pl.density(adata, ["B"], color="rare")
    curves = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert curves["A"].max() > 0.05 * ax.get_ylim()[1]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_curves_end_where_no_cell_can_be(factored, share) -> None:
    adata = factored.copy()
    values = 0.3 + np.random.default_rng(0).exponential(size=400)
    values[: int(400 * share)] = 0.3
    adata.obsm["X_distaff"]["B"] = values
    adata.uns["distaff"]["factors"].loc["B", "direction"] = 1
    (ax,) = pl.density(adata, ["B"])
    x, y = ax.lines[-1].get_data()
    step = x[1] - x[0]
    assert x[0] - step / 2 == pytest.approx(values.min())
    assert y.sum() * step == pytest.approx(1 - share, abs=0.02)
    assert ax.get_xlim()[0] < values.min()


def test_colors_of_scanpy(factored) -> None:
    adata = factored.copy()
    adata.uns["cell_type_colors"] = np.array(["#111111", "#222222", "#333333"])
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.reorder_categories(["T", "Mono", "B"])
    lines = pl.density(adata, ["B"], color="cell_type")[0].lines
    expected = {"T": "#111111", "Mono": "#222222", "B": "#333333"}
    assert {line.get_label(): line.get_color() for line in lines} == expected


@pytest.mark.parametrize("n_factors", [1, 3])
def test_the_legend_is_whole(factored, n_factors) -> None:
    adata = factored.copy()
    adata.obs["group"] = [f"a rather long name of a group {i % 30}" for i in range(400)]
    figure = pl.density(adata, n_factors, color="group")[0].figure
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert len(figure.legends[0].get_texts()) == 30
    assert figure.bbox.contains(*box.min)
    assert figure.bbox.contains(*box.max)


def test_bad_input(factored) -> None:
    with pytest.raises(ValueError, match=r"'age'\] must hold 1 to 40 groups, got 380. Cut numbers"):
        pl.density(factored, color="age")
    with pytest.raises(KeyError, match="color must name a column"):
        pl.density(factored, color="nope")
    with pytest.raises(ValueError, match="n_columns must be >= 1"):
        pl.density(factored, n_columns=0)
