"""variance_explained against numpy and worked examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import variance_explained


def test_components_are_eigenvalues_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    values = np.linalg.eigvalsh(np.cov(Z.T))[::-1]
    result = variance_explained(Z)
    np.testing.assert_allclose(result.eigenvalues, values, rtol=1e-9)
    np.testing.assert_allclose(result.components, values / values.sum(), rtol=1e-9)
    assert float(result) == result.value == pytest.approx(values[0] / values.sum())
    assert result.per_dimension is None


def test_standardised_example() -> None:
    Z = np.array([[1.0, 2.0, 0.5], [2.0, 1.0, 0.5], [3.0, 5.0, 0.5], [4.0, 3.0, 0.5], [0.0, 4.0, 0.5]])
    np.testing.assert_allclose(variance_explained(Z).components, [0.55, 0.45, 0.0], atol=1e-12)


def test_per_dimension() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(500, 3)) * [1.0, 2.0, 0.5]
    L = rng.normal(size=(40, 3))
    centred = L - L.mean(axis=0)
    expected = Z.var(axis=0, ddof=1) * (centred**2).sum(axis=0)
    share = variance_explained(Z, L).per_dimension
    np.testing.assert_allclose(share, expected / expected.sum(), rtol=1e-10)
    # a constant added to a column, or its scale moved to the latent, changes nothing
    other = variance_explained(Z * [1, 10, 0.1], (L + np.array([0, 3, -7])) / [1, 10, 0.1]).per_dimension
    np.testing.assert_allclose(other, share, rtol=1e-10)


def test_constant_dimension_explains_nothing() -> None:
    Z = np.column_stack([np.arange(10.0), np.full(10, 3.0)])
    assert variance_explained(Z, np.eye(2)).per_dimension.tolist() == [1.0, 0.0]
    nothing = variance_explained(np.ones((5, 2)), np.eye(2))
    assert nothing.value == 0.0
    assert nothing.per_dimension.tolist() == [0.0, 0.0]


def test_names() -> None:
    Z = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["u", "v"])
    L = pd.DataFrame([[1.0, 2.0], [0.0, 1.0]], columns=["u", "v"])
    assert variance_explained(Z, L).per_dimension.index.tolist() == ["u", "v"]
    with pytest.raises(ValueError, match="dimensions of Z, in the same order, got 'v', 'u'"):
        variance_explained(Z, L[["v", "u"]])


@pytest.mark.parametrize(
    ("loadings", "message"),
    [
        (np.ones((3, 1)), r"\(genes, 2\).*shape \(3, 1\)"),
        (np.ones(2), r"shape \(2,\)"),
        (np.ones((0, 2)), r"shape \(0, 2\)"),
        (np.array([[1.0, np.nan]]), "finite, got 1 value"),
    ],
)
def test_bad_loadings(loadings, message) -> None:
    with pytest.raises(ValueError, match=message):
        variance_explained(np.random.default_rng(0).normal(size=(20, 2)), loadings)
