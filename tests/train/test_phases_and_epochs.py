import pytest

from distaff.train import LearningRatePhases, number_of_epochs

KIMMEL = LearningRatePhases(((400, 1e-4), (200, 1e-5)))


def test_phases_follow_each_other():
    assert [KIMMEL(e) for e in (0, 399, 400, 599, 10_000)] == [1e-4, 1e-4, 1e-5, 1e-5, 1e-5]


@pytest.mark.parametrize("bad", [(), 1e-3, "400", ((400,),), (400, 1e-4)])
def test_phases_must_be_pairs(bad):
    with pytest.raises(ValueError, match="lr_schedule must be a sequence of pairs"):
        LearningRatePhases(bad)


@pytest.mark.parametrize(
    ("bad", "message"), [((0, 1e-3), "must be >= 1, got 0"), ((5, 0.0), "must be > 0, got 0.0")]
)
def test_phases_must_be_positive(bad, message):
    with pytest.raises(ValueError, match=message):
        LearningRatePhases((bad,))


def test_rules_for_the_number_of_epochs():
    cells = [100, 2638, 10_000, 20_000, 125_775, 1_900_000]
    assert [number_of_epochs("1e6/N", n, None) for n in cells] == [10_000, 380, 100, 50, 8, 1]
    assert [number_of_epochs(None, n, None) for n in cells[:5]] == [400, 400, 400, 400, 64]
    assert number_of_epochs(None, 100, KIMMEL) == 600
    assert number_of_epochs(7, 100, None) == 7


@pytest.mark.parametrize(
    ("value", "phases", "message"),
    [
        (0, None, "max_epochs must be >= 1, got 0"),
        ("1e5/N", None, "max_epochs must be a number, None or '1e6/N', got '1e5/N'"),
        (10, KIMMEL, "max_epochs must be the 600 epochs of lr_schedule, got 10. Leave max_epochs out"),
    ],
)
def test_bad_numbers_of_epochs(value, phases, message):
    with pytest.raises(ValueError, match=message):
        number_of_epochs(value, 100, phases)
