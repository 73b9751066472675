"""Masked factorisation against scikit-learn's multiplicative updates, which keep zeros too."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import non_negative_factorization

from distaff.model._masked_nmf import masked_nmf


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    mask = rng.random((30, 6)) < 0.3
    mask[:6] |= np.eye(6, dtype=bool)  # no empty set
    mask[-2:] = False  # genes of no set
    W, H = rng.gamma(1.0, 1.0, (80, 6)), rng.gamma(1.0, 1.0, (30, 6)) * mask
    X = sparse.csr_matrix(rng.poisson(W @ H.T + 0.02), dtype=np.float32)
    return X, mask


def divergence(X, W, H):
    x, fitted = X.toarray().astype(float), W.astype(float) @ H.T.astype(float)
    inside = (x > 0) & (fitted > 0)
    return (x[inside] * np.log(x[inside] / fitted[inside])).sum() + fitted.sum() - x.sum()


@pytest.mark.parametrize("n_iterations", [1, 7])
def test_updates_are_those_of_scikit_learn(problem, n_iterations):
    X, mask = problem
    W0, H0 = masked_nmf(X, mask, n_iterations=0, seed=3)
    W, H = masked_nmf(X, mask, n_iterations=n_iterations, seed=3)
    options = {"solver": "mu", "beta_loss": "kullback-leibler", "init": "custom", "tol": 0.0}
    expected_W, expected_H, _ = non_negative_factorization(
        X.astype(np.float64),
        W0.astype(float),
        H0.T.astype(float),
        max_iter=n_iterations,
        n_components=6,
        **options,
    )
    np.testing.assert_allclose(W, expected_W, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(H.T, expected_H, rtol=1e-4, atol=1e-6)


def test_the_mask_holds_and_the_divergence_falls(problem):
    X, mask = problem
    values = []
    for n in (1, 10, 100):
        W, H = masked_nmf(X, mask, n_iterations=n, seed=0)
        assert (H[~mask] == 0).all()
        assert (W >= 0).all()
        assert (H >= 0).all()
        values.append(divergence(X, W, H))
    assert values == sorted(values, reverse=True)


def test_a_factor_without_genes_and_a_cell_without_counts_stay_finite(problem):
    X, mask = problem
    mask[:, 2] = False
    X = sparse.vstack([X, sparse.csr_matrix((1, 30), dtype=np.float32)]).tocsr()
    W, H = masked_nmf(X, mask, n_iterations=30, seed=0)
    assert np.isfinite(W).all()
    assert np.isfinite(H).all()


def test_updates_end_once_nothing_is_gained(problem):
    X, mask = problem
    many, more = (masked_nmf(X, mask, n_iterations=n, seed=0)[0] for n in (5000, 10_000))
    np.testing.assert_array_equal(many, more)


def test_the_seed_decides(problem):
    X, mask = problem
    one, again, other = (masked_nmf(X, mask, n_iterations=5, seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
