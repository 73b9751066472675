"""factor_dependence against worked examples and the gap that it caps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import factor_dependence, mig

N = 3000


@pytest.fixture
def factors() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cell_type = rng.choice(["B", "CD4", "CD8"], N)
    usage = rng.random(N)
    return pd.DataFrame(
        {
            "type": cell_type,
            "T cell": cell_type != "B",
            "usage": usage,
            "square": usage**2,
            "random": rng.random(N),
        }
    )


def test_a_function_of_a_factor(factors) -> None:
    table = factor_dependence(factors)
    p = (factors["type"] == "B").mean()
    shares = factors["type"].value_counts(normalize=True)
    H = -(shares * np.log(shares)).sum()
    H_binary = -p * np.log(p) - (1 - p) * np.log(1 - p)
    bias = 2 / (2 * N)
    assert table.loc["type", "T cell"] == pytest.approx(1 - bias / H_binary)
    assert table.loc["T cell", "type"] == pytest.approx((H_binary - bias) / H)
    assert (np.diag(table) == 1).all()


def test_continuous(factors) -> None:
    table = factor_dependence(factors)
    assert table.loc["usage", "square"] > 0.95
    for pair in (("usage", "random"), ("type", "random"), ("random", "type")):
        assert table.loc[pair] < 0.01


def test_it_is_the_gap_that_is_lost(factors) -> None:
    Y = factors[["type", "T cell"]]
    Z = np.column_stack([pd.factorize(Y["type"])[0], Y["T cell"]]).astype(float)
    share = factor_dependence(Y).loc["T cell", "type"]
    assert mig(Z, Y).per_factor["type"] == pytest.approx(1 - share, abs=0.002)


def test_missing_labels_equal_the_subset(factors) -> None:
    Y = factors[["type", "T cell", "random"]].astype({"T cell": object})
    Y.loc[:499, "type"] = None
    Y.loc[1000:1499, "random"] = np.nan
    table = factor_dependence(Y)
    part = factor_dependence(Y.iloc[500:][["type", "T cell"]])
    pd.testing.assert_frame_equal(table.loc[part.index, part.columns], part)
    assert np.isfinite(table.to_numpy()).all()


def test_degenerate() -> None:
    Y = pd.DataFrame({"same": ["x"] * 4, "u": ["a", "b", None, None], "v": [None, None, "c", "d"]})
    table = factor_dependence(Y)
    assert np.isnan(table.loc["same", "same"])
    assert np.isnan(table.loc["u", "v"])  # no cell has both
    assert np.isnan(table.loc["u", "same"])
    assert table.loc["same", "u"] == 0


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="n_bins must be >= 2"):
        factor_dependence([0, 1], n_bins=1)
