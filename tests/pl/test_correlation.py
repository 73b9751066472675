"""pl.correlation: values, order and factors that do not vary."""

from __future__ import annotations

import numpy as np

from distaff import pl
from distaff.metrics import factor_correlation


def labels(ax) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def test_values_are_those_of_the_metric(stored_factors) -> None:
    ax = pl.correlation(stored_factors)
    names = labels(ax)
    assert set(names) == {"HALLMARK_A", "B", "C", "D", "E"}
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    sign = stored_factors.uns["distaff"]["factors"]["direction"]
    R = factor_correlation(stored_factors.obsm["X_distaff"][names]).correlation.to_numpy()
    np.testing.assert_allclose(ax.images[0].get_array(), R * np.outer(sign[names], sign[names]), atol=1e-12)


def test_factors_that_are_alike_stand_side_by_side(factored) -> None:
    names = labels(pl.correlation(factored))
    assert abs(names.index("C") - names.index("D")) == 1
    assert labels(pl.correlation(factored, ["D", "B", "C"], cluster=False)) == ["D", "B", "C"]


def test_a_factor_that_does_not_vary_is_missing(factored) -> None:
    ax = pl.correlation(factored, ["B", "still", "C"])
    missing = np.ma.getmaskarray(np.ma.masked_invalid(ax.images[0].get_array()))
    place = labels(ax).index("still")
    assert missing[place].all()
    assert missing[:, place].all()
    assert missing.sum() == 5
