"""factor_correlation against numpy, scipy and worked examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from distaff.metrics import factor_correlation

Z = np.array([[1.0, 2.0, 0.5], [2.0, 1.0, 0.5], [3.0, 5.0, 0.5], [4.0, 3.0, 0.5], [0.0, 4.0, 0.5]])


def test_small_example() -> None:
    result = factor_correlation(pd.DataFrame(Z, columns=list("uvw")))
    assert float(result) == result.value == pytest.approx(0.1, abs=1e-12)
    np.testing.assert_allclose(result.correlation, [[1.0, 0.1], [0.1, 1.0]], atol=1e-12)
    assert result.correlation.columns.tolist() == ["u", "v"]
    np.testing.assert_allclose(result.eigenvalues / 2, [0.55, 0.45], atol=1e-12)
    assert result.varies.tolist() == [True, True, False]


def test_against_numpy_and_scipy() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5))).round(1)
    result = factor_correlation(X)
    R = np.corrcoef(X.T)
    np.testing.assert_allclose(result.correlation, R, atol=1e-12)
    standard = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    np.testing.assert_allclose(result.correlation, standard.T @ standard / 399, atol=1e-12)
    values = np.linalg.eigvalsh(R)[::-1]
    np.testing.assert_allclose(result.eigenvalues, values, atol=1e-10)
    assert result.effective_dimensions == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert result.value == pytest.approx(np.abs(R[np.triu_indices(5, 1)]).mean())
    np.testing.assert_allclose(
        factor_correlation(X, ranks=True).correlation, spearmanr(X).statistic, atol=1e-12
    )


def test_extremes() -> None:
    u = np.random.default_rng(0).normal(size=100)
    same = factor_correlation(np.column_stack([u, -u, 5 * u]))
    assert same.value == pytest.approx(1.0)
    assert same.effective_dimensions == pytest.approx(1.0)
    alone = factor_correlation(u[:, None])
    assert (alone.value, alone.effective_dimensions) == (0.0, 1.0)
    nothing = factor_correlation(np.ones((5, 2)))
    assert (nothing.value, nothing.effective_dimensions, len(nothing.eigenvalues)) == (0.0, 0.0, 0)


def test_simplex_has_a_zero_eigenvalue() -> None:
    x = np.exp(np.random.default_rng(0).normal(size=(3000, 5)))
    result = factor_correlation(x / x.sum(axis=1, keepdims=True))
    assert result.eigenvalues.min() == pytest.approx(0.0, abs=1e-10)
    assert result.correlation.to_numpy()[np.triu_indices(5, 1)].mean() == pytest.approx(-0.25, abs=0.01)


def test_ranks_withstand_an_outlier() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2)) @ [[1, 0.8], [0, 0.6]]
    clean = factor_correlation(X, ranks=True).value
    X[0] = [1e9, -1e9]
    assert factor_correlation(X).value > 0.99
    assert factor_correlation(X, ranks=True).value == pytest.approx(clean, abs=0.02)


def test_one_cell() -> None:
    with pytest.raises(ValueError, match="at least two cells, got 1"):
        factor_correlation(np.ones((1, 2)))
