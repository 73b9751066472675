"""The scores of the DRVI paper, against independent code on scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy, spearmanr
from sklearn.metrics import mutual_info_score
from sklearn.preprocessing import KBinsDiscretizer

from distaff.metrics import lms, max_spearman, msas, msgs, smi, spn


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(1500, 5))
    Z[:, 0] += 3 * (np.arange(1500) % 3 == 0)
    Z[:, 1] = np.exp(Z[:, 1] + 2 * (np.arange(1500) % 3 == 1))
    return Z


@pytest.fixture(scope="module")
def cell_type() -> np.ndarray:
    return np.array(["B", "NK", "T"])[np.arange(1500) % 3]


@pytest.fixture(scope="module")
def one_hot(cell_type) -> np.ndarray:
    return pd.get_dummies(pd.Series(cell_type)).to_numpy(dtype=int)


def test_smi(latent, cell_type, one_hot) -> None:
    bins = KBinsDiscretizer(10, encode="ordinal", strategy="uniform").fit_transform(latent)
    expected = [[mutual_info_score(b, y) / entropy(np.bincount(y)) for y in one_hot.T] for b in bins.T]
    np.testing.assert_allclose(
        smi(latent, cell_type, n_bins=10, strategy="uniform").matrix, expected, atol=1e-10
    )


def test_asc(latent, cell_type, one_hot) -> None:
    expected = np.abs(spearmanr(latent, one_hot).statistic[:5, 5:])
    np.testing.assert_allclose(max_spearman(latent, cell_type).matrix, expected, atol=1e-12)


@pytest.mark.parametrize("pairwise", [smi, spn, max_spearman])
def test_aggregations(latent, cell_type, pairwise) -> None:
    base = pairwise(latent, cell_type)
    R = base.matrix.to_numpy()
    ranked = -np.sort(-R, axis=0)
    assert msas(base).value == pytest.approx(ranked[0].mean())
    assert msgs(base).value == pytest.approx((ranked[0] - ranked[1]).mean())
    rows, columns = linear_sum_assignment(-R)
    assert lms(base).value == pytest.approx(R[rows, columns].mean())
