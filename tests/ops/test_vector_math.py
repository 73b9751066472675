import numpy as np
from scipy import special

from distaff.ops.kernels.compile import kernel
from distaff.ops.kernels.vector_math import exp32, lgamma_parts, log1p32, log64, sigmoid_parts


@kernel
def single(x, exp, log, sigmoid):
    for k in range(x.size):
        u = np.float32(1.0) + x[k]
        exp[k] = exp32(-x[k])
        log[k] = log1p32(x[k], u, np.float32(1.0) / u)
        e, q = sigmoid_parts(x[k])
        sigmoid[k] = e * q


@kernel
def double(x, log, log_gamma, digamma):
    for k in range(x.size):
        s, p, d = lgamma_parts(x[k])
        log[k] = log64(x[k])
        log_gamma[k] = s - log64(p)
        digamma[k] = d


def test_single():
    x = np.concatenate([[0.0], np.geomspace(1e-30, 80, 5000)]).astype(np.float32)
    exp, log, sigmoid = (np.empty_like(x) for _ in range(3))
    single(x, exp, log, sigmoid)
    y = x.astype(np.float64)
    np.testing.assert_allclose(exp, np.exp(-y), rtol=2e-7)
    np.testing.assert_allclose(log, np.log1p(y), rtol=2e-7)
    np.testing.assert_allclose(sigmoid, special.expit(-y), rtol=4e-7)


def test_single_at_the_ends():
    x = np.array([1e30, np.nan], np.float32)
    exp, log, sigmoid = (np.empty_like(x) for _ in range(3))
    single(x, exp, log, sigmoid)
    assert 0.0 < exp[0] < 2e-38
    assert log[0] == np.float32(np.log(1e30))
    assert np.isnan([exp[1], log[1], sigmoid[1]]).all()


def test_double():
    x = np.concatenate([np.geomspace(1e-8, 1e8, 5000), np.arange(1.0, 300.0)])
    log, log_gamma, digamma = (np.empty_like(x) for _ in range(3))
    double(x, log, log_gamma, digamma)
    np.testing.assert_allclose(log, np.log(x), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(log_gamma, special.gammaln(x), rtol=1e-12, atol=2e-11)
    np.testing.assert_allclose(digamma, special.digamma(x), rtol=1e-12, atol=2e-11)
