import math
from itertools import pairwise

import pytest

from distaff.ops import Constant, Cosine, Cyclical, Linear, Sigmoid

RISES = [Linear, Cosine, Sigmoid, Cyclical]


def test_capacity_of_kimmel_rises_linearly_and_stays():
    capacity = Linear(0.1, 10.0, n_steps=20_000)
    steps = [0, 5_000, 10_000, 20_000, 40_000]
    assert [capacity(t) for t in steps] == pytest.approx([0.1, 2.575, 5.05, 10.0, 10.0], abs=1e-12)


@pytest.mark.parametrize("rise", RISES)
def test_an_open_schedule_stands_at_its_end(rise):
    assert rise(0.0, 5.0)(0) == 5.0
    assert rise(0.0, 5.0).n_steps is None


def test_constant():
    assert Constant(3)(10**9) == 3.0
    assert Constant(3).n_steps == 0


@pytest.mark.parametrize("rise", RISES)
def test_every_rise_meets_its_ends_exactly(rise):
    schedule = rise(0.1, 10.0, n_steps=1000)
    assert schedule(0) == 0.1
    assert [schedule(t) for t in (1000, 1001, 10**9)] == [10.0] * 3
    assert all(0.1 <= schedule(t) <= 10.0 for t in range(1001))


@pytest.mark.parametrize("rise", RISES)
def test_every_rise_may_fall(rise):
    up, down = rise(0.0, 1.0, n_steps=40), rise(1.0, 0.0, n_steps=40)
    assert [down(t) for t in range(50)] == pytest.approx([1.0 - up(t) for t in range(50)])


@pytest.mark.parametrize("rise", RISES)
@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_the_shortest_rises(rise, n_steps):
    schedule = rise(0.0, 1.0, n_steps=n_steps)
    assert schedule(0) == 0.0
    assert schedule(n_steps) == 1.0


@pytest.mark.parametrize("rise", [Linear, Cosine, Sigmoid])
def test_single_rises_never_turn_back_and_pass_the_middle_halfway(rise):
    schedule = rise(0.0, 1.0, n_steps=100)
    values = [schedule(t) for t in range(101)]
    assert values == sorted(values)
    assert values[50] == pytest.approx(0.5, abs=1e-12)
    # symmetric about the middle
    assert [1.0 - value for value in reversed(values)] == pytest.approx(values, abs=1e-12)


def test_cosine_is_half_a_cosine():
    schedule = Cosine(2.0, 4.0, n_steps=60)
    assert schedule(20) == pytest.approx(3.0 - math.cos(math.pi / 3))


def test_sigmoid_is_the_logistic_curve_between_its_ends():
    schedule = Sigmoid(0.0, 1.0, n_steps=100)
    logistic = [1 / (1 + math.exp(-12 * (t / 100 - 0.5))) for t in range(100)]
    # without the scaling the curve would miss both ends by logistic(-6) = 0.0025
    assert [schedule(t) for t in range(100)] == pytest.approx(logistic, abs=0.0025)


def test_cycles_rise_over_their_first_half_and_start_again():
    schedule = Cyclical(0.0, 1.0, n_steps=80, n_cycles=4)
    cycle = [min(1.0, t / 10) for t in range(20)]
    assert [schedule(t) for t in range(80)] == pytest.approx(cycle * 4)
    assert schedule(80) == 1.0
    one = Cyclical(0.0, 1.0, n_steps=80, n_cycles=1)
    assert [one(t) for t in range(100)] == pytest.approx([min(1.0, t / 40) for t in range(100)])


def test_cycles_that_do_not_divide_the_steps():
    schedule = Cyclical(0.0, 1.0, n_steps=100, n_cycles=3)
    values = [schedule(t) for t in range(100)]
    assert sum(later < earlier for earlier, later in pairwise(values)) == 2


@pytest.mark.parametrize("rise", RISES)
@pytest.mark.parametrize("n_steps", [0, -1])
def test_a_schedule_takes_at_least_one_step(rise, n_steps):
    with pytest.raises(ValueError, match=f"n_steps must be >= 1, got {n_steps}"):
        rise(0.0, 1.0, n_steps=n_steps)


@pytest.mark.parametrize("rise", RISES)
def test_a_schedule_has_finite_ends(rise):
    with pytest.raises(ValueError, match="end must be finite, got nan"):
        rise(0.0, float("nan"), n_steps=1)


def test_there_is_at_least_one_cycle():
    with pytest.raises(ValueError, match="n_cycles must be >= 1, got 0"):
        Cyclical(0.0, 1.0, n_cycles=0)
