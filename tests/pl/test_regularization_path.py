"""pl.regularization_path: the table of select_lambda_group, as returned and as read back."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from distaff import pl


def path(worst: float = 3.0) -> pd.DataFrame:
    table = {
        "difference": [0.4, 0.3, 0.0, 0.1, worst],
        "difference_error": [0.2, 0.1, 0.0, 0.2, 0.5],
        "active_terms": [40, 40, 31, 20, 3],
        "selected": [False, False, False, True, False],
    }
    return pd.DataFrame(table, index=pd.Index([0.0, 0.01, 0.1, 1.0, 10.0], name="lambda_group"))


def test_curves_and_the_selected_one() -> None:
    loss, terms = pl.regularization_path(path())
    np.testing.assert_allclose(loss.containers[0].lines[0].get_ydata().astype(float), path()["difference"])
    ends = [segment[:, 1] for segment in loss.containers[0].lines[2][0].get_segments()]
    np.testing.assert_allclose(ends[1], [0.2, 0.4])
    np.testing.assert_allclose(
        terms.lines[0].get_xydata(), np.column_stack([range(-3, 2), [40, 40, 31, 20, 3]])
    )
    np.testing.assert_allclose(terms.lines[1].get_xydata(), [[0, 20]])
    assert [text.get_text() for text in terms.get_xticklabels()] == ["0", "0.01", "0.1", "1", "10"]
    assert loss.get_title() == "selected 1: 20 active terms"


def test_from_a_file_and_in_any_order(tmp_path) -> None:
    path().iloc[::-1].to_csv(tmp_path / "path.csv")
    read = pd.read_csv(tmp_path / "path.csv")
    axes = pl.regularization_path(read, save=tmp_path / "a")
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), path()["active_terms"])
    assert (tmp_path / "a.png").exists()
    assert (tmp_path / "a.pdf").exists()


def test_a_broken_model_does_not_hide_near_ties() -> None:
    assert pl.regularization_path(path())[0].get_yscale() == "linear"
    assert pl.regularization_path(path(worst=500.0))[0].get_yscale() == "symlog"


def test_many_strengths() -> None:
    n = 40
    table = pd.DataFrame(
        {"difference": 0.0, "difference_error": 0.1, "active_terms": np.arange(n)[::-1], "selected": False},
        index=pd.Index(np.geomspace(0.001, 1, n), name="lambda_group"),
    )
    table.iloc[17, 3] = True
    axes = pl.regularization_path(table)
    axes[1].figure.canvas.draw()
    labels = axes[1].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    assert f"{table.index[17]:.2g}" in {label.get_text() for label in labels}


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda table: table.to_dict(), TypeError, "path must be a DataFrame, got dict.*select_lambda_group"),
        (lambda table: table.drop(columns="selected"), KeyError, "must have the columns 'lambda_group'"),
        (lambda table: table.rename_axis(None), KeyError, "must have the columns 'lambda_group'"),
        (lambda table: table.iloc[[3]], ValueError, "two different strengths"),
        (lambda table: table.set_axis(table.index - 1).rename_axis("lambda_group"), ValueError, ">= 0"),
        (lambda table: table.assign(selected=False), ValueError, "one strength that is selected, got 0"),
    ],
)
def test_bad_input(change, kind, message) -> None:
    with pytest.raises(kind, match=message):
        pl.regularization_path(change(path()))
