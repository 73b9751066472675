import numpy as np
from numba.core import caching

from distaff.ops._compile import bits, from_bits, helper, kernel


@helper
def halve_power(x):
    """Half of a normal number, by its exponent."""
    return from_bits(bits(x) - (1 << 52))


@kernel
def halve(values):
    for i in range(values.size):
        values[i] = halve_power(values[i])


def count(values):
    total = 0.0
    for value in values:
        total += value
    return total


def test_bits_there_and_back():
    values = np.array([1.0, 3.0, -0.5, 1e300])
    halve(values)
    np.testing.assert_array_equal(values, [0.5, 1.5, -0.25, 5e299])


def test_no_folder_to_write_to(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert kernel(count)(np.ones(3)) == 3.0
