"""total_correlation against closed forms, brute force and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

from distaff.metrics import total_correlation


def with_covariance(sigma, n_cells: int = 500) -> np.ndarray:
    """Cells whose sample covariance is exactly ``sigma``."""
    raw = np.random.default_rng(0).normal(size=(n_cells, len(sigma)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return white @ np.linalg.cholesky(np.asarray(sigma)).T


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_closed_form(scale) -> None:
    Z = with_covariance([[1.0, 0.9], [0.9, 1.0]])
    result = total_correlation(Z * [scale, 1.0])
    assert float(result) == result.value == pytest.approx(0.8303656034108255, abs=1e-9)
    assert total_correlation(Z).wasserstein == pytest.approx(0.6107347175482807, abs=1e-9)
    assert total_correlation(Z).wasserstein_share == pytest.approx(0.6107347175482807 / 2, abs=1e-9)


def test_against_matrix_functions() -> None:
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    sigma = np.cov(Z.T)
    D = np.diag(np.diag(sigma))
    result = total_correlation(Z)
    assert result.value == pytest.approx(
        0.5 * (np.log(np.diag(sigma)).sum() - np.linalg.slogdet(sigma)[1]), abs=1e-9
    )
    expected = 2 * np.trace(sigma) - 2 * np.trace(sqrtm(sigma @ D)).real
    assert result.wasserstein == pytest.approx(expected, rel=1e-6)


def test_independent_dimensions() -> None:
    result = total_correlation(with_covariance(np.diag([1.0, 4.0, 9.0])))
    assert result.value == pytest.approx(0.0, abs=1e-9)
    assert result.wasserstein == pytest.approx(0.0, abs=1e-9)


def test_constant_dimensions_are_left_out() -> None:
    Z = pd.DataFrame(with_covariance([[1.0, 0.9], [0.9, 1.0]]), columns=["u", "v"])
    result = total_correlation(Z.assign(dead=3.0, dim=1e-9 * Z["u"]))
    assert result.value == pytest.approx(0.8303656034108255, abs=1e-9)
    assert result.varies.to_dict() == {"u": True, "v": True, "dead": False, "dim": False}
    nothing = total_correlation(np.ones((10, 3)))
    assert (nothing.value, nothing.wasserstein, nothing.wasserstein_share) == (0.0, 0.0, 0.0)
    assert total_correlation(np.arange(10.0)[:, None]).value == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_simplex_is_the_mean_over_dimensions_left_out(dtype) -> None:
    Z = softmax(np.random.default_rng(0).normal(size=(2000, 5)) * [1, 1, 2, 0.5, 1]).astype(dtype)
    result = total_correlation(Z)
    assert result.simplex
    expected = np.mean([total_correlation(np.delete(Z, d, axis=1)).value for d in range(5)])
    assert np.isfinite(result.value)
    assert result.value == pytest.approx(expected, abs=1e-6)
    assert total_correlation(Z[:, [4, 0, 3, 1, 2]]).value == pytest.approx(result.value, abs=1e-6)
    assert np.isfinite(result.wasserstein)
    assert total_correlation(Z[:, :2] / Z[:, :2].sum(axis=1, keepdims=True)).value == 0.0
    assert not total_correlation(Z[:, :4]).simplex


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exact_dependence_is_infinite(dtype) -> None:
    Z = np.random.default_rng(0).normal(size=(200, 3)).astype(dtype)
    with pytest.warns(UserWarning, match="infinite: .*linear combinations") as caught:
        result = total_correlation(np.column_stack([Z, Z[:, 0] + Z[:, 1]]))
    assert caught[0].filename == __file__
    assert result.value == np.inf
    assert 0 < result.wasserstein_share < 2


@pytest.mark.parametrize("n_cells", [3, 4])
def test_no_more_cells_than_dimensions(n_cells) -> None:
    Z = np.random.default_rng(0).normal(size=(n_cells, 4))
    with pytest.warns(UserWarning, match=f"{n_cells} cells for 4 dimensions"):
        result = total_correlation(Z)
    assert np.isnan(result.value)
    assert np.isnan(result.wasserstein)


def test_bias_is_what_noise_gets() -> None:
    rng = np.random.default_rng(0)
    found = [total_correlation(rng.normal(size=(60, 6))) for _ in range(300)]
    assert np.mean([f.value for f in found]) == pytest.approx(found[0].bias, rel=0.04)
    assert found[0].bias == pytest.approx(6 * 5 / (4 * 60), rel=0.1)


def test_ranks_withstand_an_outlier_and_monotone_transforms() -> None:
    Z = with_covariance([[1.0, 0.9], [0.9, 1.0]], 3000)
    clean = total_correlation(Z, ranks=True)
    assert clean.value == pytest.approx(0.83, abs=0.06)
    assert total_correlation(np.exp(Z), ranks=True).value == pytest.approx(clean.value, abs=1e-12)
    Z[0, 0] = 1e9
    assert total_correlation(Z).value < 0.1
    assert total_correlation(Z, ranks=True).value == pytest.approx(clean.value, abs=0.02)


@pytest.mark.parametrize("Z", [np.ones((1, 2)), np.array([[1.0], [np.nan]])])
def test_bad_input(Z) -> None:
    with pytest.raises(ValueError, match="Z must"):
        total_correlation(Z)
