"""pl.variance: bars and their sum."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from distaff import pl


def test_bars_and_line(stored_factors) -> None:
    ax = pl.variance(stored_factors)
    table = stored_factors.uns["distaff"]["factors"].sort_values("rank")
    share = 100 * table["variance_explained"]
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], share)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), share.cumsum())
    assert [label.get_text() for label in ax.get_xticklabels()] == list(table.index)
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colors == ["#0072b2"] * 5 + ["#cccccc"]
    assert ax.get_ylabel() == "share of the variance\nof all factors (%)"  # not of that of the data
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["sum", "each"]


def test_factors_left_out_count_in_the_sum(factored) -> None:
    share = factored.uns["distaff"]["factors"]["variance_explained"]
    ax = pl.variance(factored, ["HALLMARK_A"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [100 * (share["B"] + share["HALLMARK_A"])])
    assert len(pl.variance(factored, 2).patches) == 2


def test_many_factors_go_by_rank(factored) -> None:
    adata = factored.copy()
    n = 60
    adata.uns["distaff"]["factors"] = pd.DataFrame(
        {"active": True, "rank": np.arange(n) + 1, "variance_explained": 1 / n},
        index=[f"Factor {i}" for i in range(n)],
    )
    ax = pl.variance(adata)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "10", "20", "30", "40", "50", "60"]
    assert ax.get_xlabel() == "rank of the factor"
    # no share reaches a fifth: the sum has its own scale
    _, right = ax.figure.axes
    np.testing.assert_allclose(right.lines[0].get_ydata(), 100 * np.arange(1, n + 1) / n)
    assert right.get_ylabel() == "sum (%)"
    assert ax.get_ylim()[1] < 3
