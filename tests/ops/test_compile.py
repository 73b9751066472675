import numpy as np
from numba.core import caching, config

from distaff.ops.kernels import compile as compiling
from distaff.ops.kernels.compile import bits, from_bits, helper, kernel


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


def test_changed_helpers_are_compiled_anew(monkeypatch, tmp_path):
    (tmp_path / "_helpers.py").write_text("one")
    before = compiling._digest(tmp_path)
    (tmp_path / "_helpers.py").write_text("two")
    after = compiling._digest(tmp_path)
    assert before != after
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    for digest in (before, after):
        monkeypatch.setattr(compiling, "SOURCES", digest)

        def one_more(x):
            return x + 1

        assert kernel(one_more)(1) == 2
        assert list(tmp_path.rglob(f"*one_more_{digest}*.nbi"))
