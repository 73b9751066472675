"""pl.disentanglement: the order of dimensions, the marks, the bars."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from distaff import pl, tl


def labels(axis) -> list[str]:
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.parametrize(
    "metric",
    [None, "max_spearman", "single_dimension_accuracy", "mig", "smi", "lms", "msgs", "modularity", "irs"],
)
def test_content(stored, metric) -> None:
    heatmap, bars = pl.disentanglement(stored, metric=metric)
    result = stored.uns["distaff"]["disentanglement"]
    name = metric or "max_spearman"
    scores = result["scores"][name].dropna()
    table = result["matrices"]["smi" if name in ("lms", "msgs") else name]
    assert labels(heatmap.yaxis) == list(result["factors"].loc[scores.index, "label"])
    columns = labels(heatmap.xaxis)
    assert sorted(columns) == sorted(table.index)
    shown = np.asarray(heatmap.images[0].get_array())
    np.testing.assert_allclose(shown, table.loc[columns, scores.index].T)
    marks = {(round(y), columns[round(x)]) for x, y in heatmap.lines[0].get_xydata()}
    best = result["best_dimension"].loc[scores.index, name]
    assert marks == {(i, dimension) for i, dimension in enumerate(best) if dimension}
    np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in bars.patches], scores)
    assert [text.get_text().strip() for text in bars.texts] == [f"{score:.2f}" for score in scores]


def test_references_beside_the_bars(stored) -> None:
    _, bars = pl.disentanglement(stored, metric="mig")
    result = stored.uns["distaff"]["disentanglement"]
    names = result["scores"]["mig"].dropna().index
    drawn = {
        lines.get_label(): [path.vertices[0, 0] for path in lines.get_paths()] for lines in bars.collections
    }
    np.testing.assert_allclose(drawn["chance"], result["noise"].loc[names, "mig"])
    np.testing.assert_allclose(drawn["ceiling"], result["ceiling"].loc[names, "mig"])
    assert [text.get_text() for text in bars.get_legend().get_texts()] == ["chance", "ceiling"]
    bars.figure.canvas.draw()
    for text in bars.texts:  # no line runs through a number
        box = text.get_window_extent()
        row, left, right = text.get_position()[1], *bars.transData.inverted().transform(box)[:, 0]
        assert not any(left + 0.01 < drawn[name][row] < right for name in drawn)


def test_without_references(scored) -> None:
    _, bars = pl.disentanglement(scored, metric="single_dimension_accuracy")  # too slow to have them unasked
    assert not bars.collections
    assert bars.get_legend() is None
    adata = scored.copy()
    tl.disentanglement(adata, "cell_type", metrics="mig", references=None)
    assert not pl.disentanglement(adata)[1].collections


def test_matching_is_the_diagonal(scored) -> None:
    heatmap, _ = pl.disentanglement(scored, metric="smi")
    image = np.asarray(heatmap.images[0].get_array())
    rows = [0, 1, 3, 4]  # the third cell type is told by two dimensions
    assert (image.argmax(axis=1)[rows] == rows).all()
    assert labels(heatmap.xaxis)[:2] == ["Factor 2", "Factor 4"]


@pytest.mark.parametrize(("n_dims", "n_named"), [(32, 32), (100, None)])
def test_many_dimensions_stay_readable(scored, n_dims, n_named) -> None:
    adata = scored.copy()
    Z = np.random.default_rng(0).normal(size=(adata.n_obs, n_dims))
    Z[:, :6] = adata.obsm["X_distaff"]
    adata.obsm["X_distaff"] = Z
    tl.disentanglement(adata, ["cell_type", "treated"], metrics="max_spearman")
    heatmap, bars = pl.disentanglement(adata)
    named = labels(heatmap.xaxis)
    best = set(adata.uns["distaff"]["disentanglement"]["best_dimension"]["max_spearman"]) - {""}
    assert len(named) == (n_named or len(best))
    assert best <= set(named)
    heatmap.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in heatmap.get_xticklabels()]
    assert all(a.x1 <= b.x0 + 1 for a, b in pairwise(boxes))
    assert heatmap.get_tightbbox().x1 <= bars.get_tightbbox().x0


def test_inside_the_figure(scored) -> None:
    heatmap, _ = pl.disentanglement(scored)
    figure = heatmap.figure
    figure.canvas.draw()
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1


def test_given_axes(scored, monkeypatch) -> None:
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("the figure belongs to the caller"))
    monkeypatch.setattr("matplotlib.is_interactive", lambda: True)
    figure, (first, second) = plt.subplots(1, 2)
    heatmap, bars = pl.disentanglement(scored, ax=second)
    assert heatmap is second
    assert bars.figure is figure
    assert not first.images


def test_missing_scores(scored) -> None:
    adata = scored.copy()
    del adata.uns["distaff"]["disentanglement"]
    with pytest.raises(KeyError, match="disentanglement"):
        pl.disentanglement(adata)


def test_undefined_scores(scored) -> None:
    adata = scored.copy()
    adata.obs["same"] = "x"
    with pytest.warns(UserWarning, match="'same'"):
        tl.disentanglement(adata, "same", metrics="mig")
    with pytest.raises(ValueError, match="NaN for all"):
        pl.disentanglement(adata)
