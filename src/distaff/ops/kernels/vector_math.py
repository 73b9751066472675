"""Elementary functions that LLVM turns into vector instructions, which calls of the C library are not."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import bits, from_bits, helper

__all__ = ["ONE_BITS", "exp32", "expm1_parts", "lgamma_parts", "log1p32", "log32", "log64", "sigmoid_parts"]

F = np.float32
LOWEST_EXPONENT = F(-87.0)  # exp of less is not a normal number
LOG2_E = F(1.44269504)
ROUND_TO_INTEGER = F(12582912.0)  # 1.5 * 2^23: a number added to it loses its fraction
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)  # products with small integers are exact
ONE_BITS = np.int32(0x3F800000)
HALF_ROOT_BITS = np.int32(0x3F3504F3)  # sqrt(1/2)
# Minimax polynomials, fitted by Lawson's iteration: (exp(r) - 1 - r) / r^2 for |r| <= log(2)/2 to 7e-9 and
# (log(1+f) - f + f^2/2) / f^3 for sqrt(1/2) <= 1+f <= sqrt(2) to 2e-8.
E0, E1, E2, E3, E4 = F(0.5), F(0.1666657698), F(0.04166637516), F(0.00836317981), F(0.001394112125)
L0, L1, L2, L3, L4 = F(0.3333333126), F(-0.2499998119), F(0.2000068809), F(-0.16669151), F(0.1425115561)
L5, L6, L7, L8 = F(-0.1239670043), F(0.1163466264), F(-0.1165992937), F(0.07332529229)

HALF_ROOT_BITS_64 = 0x3FE6A09E667F3BCD
MANTISSA_64 = 0x000FFFFFFFFFFFFF
TWO_52, TWO_52_BITS = 4503599627370496.0, 0x4330000000000000
LN2 = 0.6931471805599453
HALF_LOG_TAU = 0.9189385332046727


@helper
def expm1_parts(x):
    """Exponent k and p with exp(x) = 2^k (1 + p); NaN for NaN."""
    x = LOWEST_EXPONENT if x < LOWEST_EXPONENT else x
    t = x * LOG2_E + ROUND_TO_INTEGER
    k = t - ROUND_TO_INTEGER
    r = x - k * LN2_HIGH
    r = r - k * LN2_LOW
    q = (((E4 * r + E3) * r + E2) * r + E1) * r + E0
    return np.int32(bits(t) - bits(ROUND_TO_INTEGER)), r + r * r * q


@helper
def exp32(x):
    """Exponential of a float32 below 88; exp(-87) below -87."""
    k, p = expm1_parts(x)
    scale = from_bits(np.int32((k << np.int32(23)) + ONE_BITS))
    return scale + scale * p


@helper
def _log32(u, lost):
    """log(u + lost u) of a positive normal float32 and what rounding took from it."""
    i = np.int32(bits(u) - HALF_ROOT_BITS)
    k = F(np.int32(i >> np.int32(23)))
    f = from_bits(np.int32((i & np.int32(0x7FFFFF)) + HALF_ROOT_BITS)) - F(1.0)
    p = (((L8 * f + L7) * f + L6) * f + L5) * f + L4
    p = (((p * f + L3) * f + L2) * f + L1) * f + L0
    low = f * f * (f * p - F(0.5)) + (k * LN2_LOW + lost)
    return k * LN2_HIGH + (f + low)


@helper
def log32(u):
    """Logarithm of a positive normal float32."""
    return _log32(u, F(0.0))


@helper
def log1p32(x, u, q):
    """log(1 + x) of a float32 above -1/2, given u = 1 + x and q = 1 / u."""
    return _log32(u, (x - (u - F(1.0))) * q)


@helper
def sigmoid_parts(x):
    """exp(-|x|) and 1 / (1 + exp(-|x|)) of a float32."""
    e = exp32(-abs(x))
    return e, F(1.0) / (F(1.0) + e)


@helper
def log64(x):
    """Logarithm of a positive normal float64, to 1e-15."""
    i = bits(x) - HALF_ROOT_BITS_64
    k = from_bits(((i >> 52) + 2048) | TWO_52_BITS) - (TWO_52 + 2048.0)
    m = from_bits((i & MANTISSA_64) + HALF_ROOT_BITS_64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s  # log m = 2 artanh(s) = 2 s (1 + z/3 + z^2/5 + ...)
    high = (((z / 19 + 1 / 17) * z + 1 / 15) * z + 1 / 13) * z + 1 / 11
    low = (((high * z + 1 / 9) * z + 1 / 7) * z + 1 / 5) * z + 1 / 3
    return k * LN2 + 2.0 * s * (1.0 + z * low)


@helper
def lgamma_parts(z):
    r"""Parts s, p, d of a positive float64: log Gamma(z) = s - log p and digamma(z) = d.

    Stirling's series at z, or at z + 8 for a small z: Gamma(z) = Gamma(z + 8) / p with
    p = z (z + 1) ... (z + 7), of which pairs of factors are y + i (7 - i) with y = z (z + 7).
    """
    small = z < 8.0
    y = z * (z + 7.0)
    a, b = y * (y + 6.0), (y + 10.0) * (y + 12.0)
    da, db = 2.0 * y + 6.0, 2.0 * y + 22.0
    p = a * b if small else 1.0
    slope = (2.0 * z + 7.0) * (da * b + a * db) if small else 0.0
    w = z + 8.0 if small else z
    both = 1.0 / (w * p)
    v = both * p
    v2 = v * v
    log_w = log64(w)
    series = v * (1 / 12 - v2 * (1 / 360 - v2 * (1 / 1260 - v2 / 1680)))
    s = (w - 0.5) * log_w - w + HALF_LOG_TAU + series
    d = log_w - 0.5 * v - v2 * (1 / 12 - v2 * (1 / 120 - v2 * (1 / 252 - v2 / 240))) - slope * (both * w)
    return s, p, d
