import pytest
import torch

from distaff.objectives import BetaKL, Capacity, LossInputs, Objective
from distaff.ops import Constant, Linear, batch_capacity_penalty, cell_capacity_penalty


@pytest.fixture
def inputs():
    g = torch.Generator().manual_seed(0)
    return LossInputs(
        reconstruction=100 * torch.rand(6, generator=g),
        kl=torch.rand(6, 3, generator=g),
        kl_library=torch.rand(6, generator=g),
    )


def test_beta_weighs_the_latent_kl_alone(inputs):
    output = Objective([BetaKL(Constant(4.0))])(inputs)
    expected = inputs.reconstruction.mean() + 4.0 * inputs.kl.sum(1).mean() + inputs.kl_library.mean()
    torch.testing.assert_close(output.loss, expected)


def test_parts_add_up_to_the_loss(inputs):
    for term in (
        BetaKL(Constant(4.0)),
        Capacity(3.0, Constant(0.2), batch_capacity_penalty),
        Capacity(3.0, Constant(0.2), cell_capacity_penalty),
    ):
        output = Objective([term])(inputs)
        torch.testing.assert_close(sum(part.mean() for part in output.parts.values()), output.loss)
        assert set(output.parts) == {"reconstruction", term.name, "library"}


def test_capacity_modes(inputs):
    kl = inputs.kl.sum(1)
    batch = Objective([Capacity(3.0, Constant(1.0), batch_capacity_penalty)])(inputs)
    torch.testing.assert_close(batch.parts["capacity"], 3.0 * (kl.mean() - 1.0).abs())
    cell = Objective([Capacity(3.0, Constant(1.0), cell_capacity_penalty)])(inputs)
    torch.testing.assert_close(cell.parts["capacity"], 3.0 * (kl - 1.0).abs())


def test_capacity_ignores_a_further_weight(inputs):
    objective = Objective([Capacity(3.0, Constant(1.0), batch_capacity_penalty)])
    halved = LossInputs(inputs.reconstruction, inputs.kl, inputs.kl_library, kl_weight=0.5)
    assert torch.equal(objective(inputs).loss, objective(halved).loss)


def test_schedule_runs_in_steps_and_survives_saving(inputs):
    objective = Objective([Capacity(1.0, Linear(0.1, 10.0), batch_capacity_penalty)])
    assert objective.schedule_values() == {"capacity": 10.0}  # open: as if finished
    objective.settle("capacity", 100)
    for _ in range(50):
        objective.advance()
    assert objective.schedule_values()["capacity"] == pytest.approx(5.05)
    restored = Objective([Capacity(1.0, Linear(0.1, 10.0), batch_capacity_penalty)])
    restored.load_state_dict(objective.state_dict())
    assert restored.step == 50
    assert restored.schedule_values() == objective.schedule_values()
    assert torch.equal(restored(inputs).loss, objective(inputs).loss)


def test_an_open_schedule_stays_open_when_saved():
    objective = Objective([BetaKL(Linear(0.0, 1.0))])
    restored = Objective([BetaKL(Linear(0.0, 1.0))])
    restored.load_state_dict(objective.state_dict())
    assert restored.terms[0].schedule.n_steps is None


def test_repr_names_terms_and_step():
    text = repr(Objective([BetaKL(Constant(2.0))]))
    assert "step=0" in text
    assert "BetaKL" in text
