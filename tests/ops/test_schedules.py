import pytest

from distaff.ops import Constant, Linear


def test_capacity_of_kimmel_rises_linearly_and_stays():
    capacity = Linear(0.1, 10.0, n_steps=20_000)
    steps = [0, 5_000, 10_000, 20_000, 40_000]
    assert [capacity(t) for t in steps] == pytest.approx([0.1, 2.575, 5.05, 10.0, 10.0], abs=1e-12)


def test_an_open_schedule_stands_at_its_end():
    assert Linear(0.0, 5.0)(0) == 5.0
    assert Linear(0.0, 5.0).n_steps is None


def test_constant():
    assert Constant(3)(10**9) == 3.0
    assert Constant(3).n_steps == 0


@pytest.mark.parametrize("n_steps", [0, -1])
def test_a_schedule_takes_at_least_one_step(n_steps):
    with pytest.raises(ValueError, match=f"n_steps must be >= 1, got {n_steps}"):
        Linear(0.0, 1.0, n_steps=n_steps)


def test_a_schedule_has_finite_ends():
    with pytest.raises(ValueError, match="end must be finite, got nan"):
        Linear(0.0, float("nan"), n_steps=1)
