"""Parts of a minibatch: complete, even, and random as the whole is. Sums: tests/train/test_processes.py."""

import pytest
import torch
from torch.distributions import Normal

from distaff.nn.gates import ConcreteGate, ShiftedSigmoidGate
from distaff.nn.layers import Dropout
from distaff.nn.scheduled import Scheduled
from distaff.ops import Constant, Part, cell_mean, gather_cells, held_part, holding, rsample

N_CELLS = 13


@pytest.mark.parametrize("n_processes", [2, 3, 8, 13])
def test_parts_are_even_and_complete(n_processes):
    parts = [Part.of(N_CELLS, rank=rank, n_processes=n_processes) for rank in range(n_processes)]
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == N_CELLS
    sizes = {part.stop - part.start for part in parts}
    assert min(sizes) >= max(sizes) - 1 >= 0


def test_nobody_shares_too_few_cells():
    assert Part.of(5, rank=0, n_processes=1) is None
    assert Part.of(2, rank=2, n_processes=3) is None


def test_a_part_is_held_within_its_block():
    part = Part.of(4, rank=0, n_processes=2)
    with pytest.raises(RuntimeError), holding(part):
        assert held_part() is part
        raise RuntimeError
    assert held_part() is None


def test_without_others_nothing_is_exchanged():
    x = torch.randn(4, 3)
    assert gather_cells(x) is x
    assert torch.equal(cell_mean(x), x.mean(0))


def constant(value):
    return Scheduled(Constant(value))


DRAWS = {
    "normal": lambda x: rsample(Normal(x, x.exp(), validate_args=False)),
    "several normal": lambda x: rsample(Normal(x, x.exp(), validate_args=False), (2,)),
    "dropout": Dropout(0.3),
    "concrete gate": lambda x: ConcreteGate(constant(0.5))(x, 0),
    "shifted sigmoid gate": lambda x: ShiftedSigmoidGate(constant(50.0))(x, 0),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_processes_draw_what_one_would(draw):
    x = torch.randn(N_CELLS, 5, generator=torch.Generator().manual_seed(1))

    def drawn(x, part):
        with torch.random.fork_rng(), holding(part):
            torch.manual_seed(0)
            return draw(x), torch.random.get_rng_state()

    whole, state = drawn(x, None)
    rows = []
    for rank in range(3):
        part = Part.of(N_CELLS, rank=rank, n_processes=3)
        own, own_state = drawn(x[part.start : part.stop], part)
        assert torch.equal(own_state, state)  # the next draws agree too
        rows.append(own)
    torch.testing.assert_close(torch.cat(rows, dim=-2), whole, rtol=1e-6, atol=1e-6)
