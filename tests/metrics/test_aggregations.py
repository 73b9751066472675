"""msas and msgs against worked examples, and what all aggregations share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import lms, msas, msgs, smi

R = pd.DataFrame([[0.9, 0.1, 1.0], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1]], columns=list("uvw"))
VALUES = {lms: 0.9, msas: 0.9333333333333332, msgs: 0.3}


@pytest.fixture(params=VALUES, ids=lambda f: f.__name__)
def aggregation(request):
    return request.param


def test_small_example(aggregation) -> None:
    for table in (R, R.to_numpy()):
        score = aggregation(table)
        assert score.value == float(score) == pytest.approx(VALUES[aggregation], abs=1e-12)
        assert score.name == aggregation.__name__


def test_best_dimension() -> None:
    assert msas(R).best_dimension.tolist() == [0, 1, 0]
    assert msgs(R).best_dimension.tolist() == [0, 1, 0]
    assert msgs(R).per_factor.tolist() == pytest.approx([0.8, 0.0, 0.1])


def test_single_dimension() -> None:
    table = R.iloc[[1]]
    assert msgs(table).per_factor.tolist() == msas(table).per_factor.tolist() == [0.1, 0.9, 0.1]


def test_undefined_factors_are_left_out(aggregation) -> None:
    table = R.assign(w=np.nan)
    score, rest = aggregation(table), aggregation(R[["u", "v"]])
    assert score.value == pytest.approx(rest.value)
    assert np.isnan(score.per_factor["w"])
    assert score.best_dimension["w"] is None
    assert score.n_factors_used == 2
    partly = R.copy()
    partly.loc[2, "w"] = np.nan
    assert aggregation(partly).best_dimension["w"] is None
    assert np.isnan(aggregation(R * np.nan).value)


def test_nothing_found(aggregation) -> None:
    score = aggregation(R * 0)
    assert score.value == 0.0
    assert score.best_dimension.tolist() == [None] * 3


def test_order_does_not_matter(aggregation) -> None:
    other = aggregation(R.loc[[3, 1, 0, 2], ["w", "u", "v"]])
    assert other.value == pytest.approx(aggregation(R).value)
    if aggregation is not lms:
        pd.testing.assert_series_equal(other.per_factor[["u", "v", "w"]], aggregation(R).per_factor)


def test_of_a_score(aggregation) -> None:
    Z = np.random.default_rng(0).random((2000, 4))
    base = smi(Z[:, [0, 1]], Z[:, :3])
    score = aggregation(base)
    assert score.value == pytest.approx(2 / 3, abs=0.02)
    assert score.params == {**base.params, "matched": "smi"}
    pd.testing.assert_series_equal(score.n_cells, base.n_cells)


def test_empty(aggregation) -> None:
    with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
        aggregation(np.zeros((0, 2)))
