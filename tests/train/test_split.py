import numpy as np
import pytest

from distaff.train import split_cells


def split(n, **options):
    defaults = {"batch_size": 128, "train_size": None, "validation_size": None, "shuffle": True, "seed": 0}
    return split_cells(n, **{**defaults, **options})


def test_every_cell_is_in_one_set():
    s = split(1000, train_size=0.7, validation_size=0.2)
    assert [len(s.train), len(s.validation), len(s.test)] == [700, 200, 100]
    assert sorted(np.concatenate([s.train, s.validation, s.test])) == list(range(1000))


def test_split_is_that_of_scvi_tools():
    rng = np.random.RandomState(5)
    order = rng.permutation(100)
    s = split(100, train_size=0.9, seed=5)
    assert np.array_equal(s.validation, order[:10])
    assert np.array_equal(s.train, order[10:])


def test_without_shuffling_validation_comes_first():
    s = split(100, shuffle=False)
    assert np.array_equal(s.validation, np.arange(10))


@pytest.mark.parametrize(
    ("n", "steps", "drop_last"),
    [(128, 1, False), (129, 1, True), (130, 1, True), (131, 2, False), (2, 1, False)],
)
def test_a_tail_too_small_to_normalise_is_left_out(n, steps, drop_last):
    s = split(n, train_size=1.0)
    assert (s.steps_per_epoch, s.drop_last) == (steps, drop_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 0.0}, "train_size must be > 0, got 0.0"),
        ({"train_size": 1.5}, "train_size must be <= 1, got 1.5"),
        ({"validation_size": -0.1}, "validation_size must be >= 0"),
        ({"train_size": 0.9, "validation_size": 0.2}, r"train_size \+ validation_size must be <= 1"),
        ({"batch_size": 1}, "batch_size must be >= 2, got 1. Batch norm"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"train_size": 0.001}, "Training needs at least 2 cells, got 1 of 100"),
    ],
)
def test_bad_sizes(options, message):
    with pytest.raises(ValueError, match=message):
        split(100, **options)
