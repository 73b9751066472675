"""pl.terms: cells at their places, in their colours."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from distaff import pl, tl


def test_places(stored_factors) -> None:
    ax = pl.terms(stored_factors, ["C", "B"])[0]
    sign = stored_factors.uns["distaff"]["factors"]["direction"]
    Z = stored_factors.obsm["X_distaff"]
    expected = np.column_stack([sign[name] * Z[name] for name in ("C", "B")])
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), expected)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("C", "B")
    assert ax.collections[0].get_rasterized()
    assert len(ax.get_xticks()) > 1


def test_colors(stored_factors) -> None:
    classes, numbers = pl.terms(stored_factors, color=["cell_type", "age"])
    assert (classes.get_xlabel(), classes.get_ylabel()) == ("B", "HALLMARK_A")
    assert (classes.get_title(), numbers.get_title()) == ("cell_type", "age")
    assert [text.get_text() for text in classes.get_legend().get_texts()] == ["B", "Mono", "T"]
    missing, known = numbers.collections[:2]
    assert (len(missing.get_offsets()), len(known.get_offsets())) == (20, 380)
    place = {tuple(point): age for point, age in zip(known.get_offsets(), known.get_array(), strict=True)}
    sign = stored_factors.uns["distaff"]["factors"]["direction"]
    Z = stored_factors.obsm["X_distaff"]
    for cell in ("cell20", "cell399"):
        point = tuple(float(sign[name] * Z.loc[cell, name]) for name in ("B", "HALLMARK_A"))
        assert place[point] == stored_factors.obs.loc[cell, "age"]


def test_a_column_without_any_label(factored) -> None:
    adata = factored.copy()
    adata.obs["empty"] = np.nan
    assert len(pl.terms(adata, color="empty")[0].collections[0].get_offsets()) == 400


def test_panels_do_not_overlap(factored) -> None:
    axes = pl.terms(factored, color=["cell_type", "age", "cell_type", "age"], n_columns=2)
    axes[0].figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in axes]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_bad_input(factored) -> None:
    with pytest.raises(KeyError, match=r"color must name a column of adata.obs, got 'nope'"):
        pl.terms(factored, color="nope")
    with pytest.raises(ValueError, match="two different factors"):
        pl.terms(factored, ["B", "C", "D"])
    with pytest.raises(ValueError, match="size must be > 0"):
        pl.terms(factored, size=0)
    with pytest.raises(ValueError, match="one column for each panel, got 2 columns"):
        pl.terms(factored, color=["age", "cell_type"], ax=plt.figure().subplots())
    with pytest.raises(ValueError, match="one column for each panel, got 0 columns"):
        pl.terms(factored, color=[])


def test_legend_is_below_a_long_name(factored) -> None:
    adata = factored.copy()
    name = "REACTOME_RECOGNITION_OF_DNA_DAMAGE_BY_PCNA_CONTAINING_REPLICATION_COMPLEX"
    tl.rename_factors(adata, {"B": name})
    ax = pl.terms(adata, [name, "C"], color="cell_type")[0]
    ax.figure.canvas.draw()
    label = ax.xaxis.label.get_window_extent()
    assert ax.get_legend().get_window_extent().y1 <= label.y0


@pytest.mark.parametrize(("n_panels", "n_columns"), [(1, None), (3, None), (4, 2)])
@pytest.mark.parametrize("name", ["group number", "a rather long name of a group"])
def test_the_legend_is_whole(factored, n_panels, n_columns, name) -> None:
    adata = factored.copy()
    columns = [f"column {i}" for i in range(n_panels)]
    for column in columns:
        adata.obs[column] = [f"{name} {i % 9}" for i in range(adata.n_obs)]
    axes = pl.terms(adata, color=columns, n_columns=n_columns)
    figure = axes[0].figure
    figure.canvas.draw()
    for ax in axes:
        texts = ax.get_legend().get_texts()
        assert len(texts) == 9
        for text in texts:
            box = text.get_window_extent()
            assert figure.bbox.contains(box.x0, box.y0)
            assert figure.bbox.contains(box.x1, box.y1)
