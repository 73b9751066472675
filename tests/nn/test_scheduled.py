import pytest
import torch
from torch import nn

from distaff.nn.scheduled import Scheduled
from distaff.ops import Constant, Cosine, Cyclical, Linear


def test_value_is_that_of_the_schedule():
    scheduled = Scheduled(Linear(0.0, 1.0, n_steps=10))
    assert [scheduled(step) for step in (0, 5, 10, 20)] == pytest.approx([0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(("share", "n_steps"), [(0.5, 50), (0.25, 25), (0.001, 1)])
def test_an_open_schedule_takes_its_share_of_the_first_run(share, n_steps):
    scheduled = Scheduled(Linear(0.0, 1.0), share)
    assert scheduled(0) == 1.0  # as if finished
    scheduled.settle(100)
    assert scheduled.schedule == Linear(0.0, 1.0, n_steps=n_steps)
    scheduled.settle(1000)  # a second run changes nothing
    assert scheduled.schedule.n_steps == n_steps


@pytest.mark.parametrize("schedule", [Constant(2.0), Linear(0.0, 1.0, n_steps=7)])
def test_a_schedule_with_a_length_keeps_it(schedule):
    scheduled = Scheduled(schedule)
    scheduled.settle(100)
    assert scheduled.schedule == schedule


def test_other_fields_of_the_schedule_are_kept():
    scheduled = Scheduled(Cyclical(0.0, 1.0, n_cycles=3))
    scheduled.settle(100)
    assert scheduled.schedule == Cyclical(0.0, 1.0, n_steps=50, n_cycles=3)


@pytest.mark.parametrize("schedule", [Linear(0.0, 1.0), Cosine(1.0, 0.0), Constant(0.5)])
@pytest.mark.parametrize("settled", [True, False])
def test_state_survives_saving(tmp_path, schedule, settled):
    model = nn.ModuleDict({"weight": Scheduled(schedule)})
    if settled:
        model["weight"].settle(100)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    restored = nn.ModuleDict({"weight": Scheduled(schedule)})
    restored.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert restored["weight"].schedule == model["weight"].schedule
    if settled:
        restored["weight"].settle(10)  # a run after a load is not the first
        assert restored["weight"].schedule == model["weight"].schedule


def test_a_saved_length_replaces_another():
    saved = Scheduled(Linear(0.0, 1.0, n_steps=30)).state_dict()
    restored = Scheduled(Linear(0.0, 1.0, n_steps=10))
    restored.load_state_dict(saved)
    assert restored.schedule.n_steps == 30


def test_it_has_no_parameters_and_shows_its_schedule():
    scheduled = Scheduled(Linear(0.0, 1.0, n_steps=30))
    assert list(scheduled.parameters()) == []
    assert "n_steps=30" in repr(scheduled)
