"""factor_dependence against worked examples and the gap that it caps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import factor_dependence, mig
from distaff.metrics._information import entropy, mutual_information

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
    chance = 2 / (2 * N)
    assert table.loc["type", "T cell"] == pytest.approx(1)
    assert table.loc["T cell", "type"] == pytest.approx((H_binary - chance) / (H - chance), abs=1e-5)
    assert (np.diag(table) == 1).all()


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_however_few_cells_a_function_is_1_and_chance_0(n) -> None:
    rng = np.random.default_rng(n)
    sub = rng.integers(0, 8, n)
    found = []
    for _ in range(20):
        a, b = rng.normal(size=(2, n))
        Y = {"a": a, "b": b, "exp a": np.exp(a), "sub": sub.astype(str), "type": (sub // 3).astype(str)}
        found.append(factor_dependence(pd.DataFrame(Y)))
    assert found[0].loc["a", "exp a"] == pytest.approx(1)
    assert found[0].loc["sub", "type"] == pytest.approx(1)
    assert np.mean([table.loc["a", "b"] for table in found]) < 0.03
    assert np.mean([table.loc["type", "b"] for table in found]) < 0.03


def test_chance_is_the_mean_over_permutations() -> None:
    rng = np.random.default_rng(0)
    b = rng.integers(0, 4, 40)
    a = np.where(rng.random(40) < 0.5, rng.integers(0, 6, 40), b)
    chance = np.mean([mutual_information(rng.permutation(a), b) for _ in range(4000)])
    expected = (mutual_information(a, b) - chance) / (entropy(b) - chance)
    assert factor_dependence(np.column_stack([a, b])).iloc[0, 1] == pytest.approx(expected, abs=0.005)


def test_many_cells_take_the_first_order_of_chance() -> None:
    rng = np.random.default_rng(0)
    b = rng.integers(0, 3, 100_001)
    a = np.where(rng.random(len(b)) < 0.5, rng.integers(0, 3, len(b)), b)
    found = [factor_dependence(np.column_stack([a, b])[:n]).iloc[0, 1] for n in (100_000, 100_001)]
    assert found[0] == pytest.approx(found[1], abs=1e-4)


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


def test_a_class_a_cell_tells_nothing_of_another_factor() -> None:
    table = factor_dependence(pd.DataFrame({"cell": list("abcdef"), "type": list("xxxyyy")}))
    assert np.isnan(table.loc["cell", "type"])
    assert table.loc["type", "cell"] == pytest.approx(0)
    assert table.loc["cell", "cell"] == 1


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="n_bins must be >= 2"):
        factor_dependence([0, 1], n_bins=1)
