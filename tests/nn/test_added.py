import pytest
import torch
from torch import nn

from distaff.nn.added import Added, GrowingLinear


@pytest.fixture(autouse=True)
def _seeded_weights():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_known_outputs_do_not_move_by_a_bit():
    x = torch.randn(300, 37)
    reference, query = nn.Linear(37, 5), GrowingLinear(37, 5 + 2 + 0 + 3, (2, 0, 3))
    query.load_state_dict(reference.state_dict(), strict=False)
    assert not query(x)[:, 5:].any()
    with torch.no_grad():
        for parameter in [*query.added_weight, *query.added_bias]:
            parameter.normal_()
    y = query(x)
    assert torch.equal(y[:, :5], reference(x))
    weight = torch.cat([query.weight, *query.added_weight])
    bias = torch.cat([query.bias, *query.added_bias])
    torch.testing.assert_close(y, x @ weight.T + bias)


def test_without_a_query_it_is_a_linear_layer():
    layer = GrowingLinear(4, 3)
    assert list(layer.state_dict()) == ["weight", "bias"]
    torch.manual_seed(1)
    ours = GrowingLinear(4, 3)
    torch.manual_seed(1)
    assert torch.equal(ours.weight, nn.Linear(4, 3).weight)


def test_the_last_block_is_what_a_query_trains():
    reference, query = Added([torch.ones(2)]), Added([torch.zeros(2), torch.zeros(3)])
    query.extend(reference)
    assert [block.tolist() for block in query] == [[1, 1], [0, 0, 0]]
    assert query.query_parameters()[0] is list(query)[1]
    assert not Added([torch.ones(2), torch.ones(0)]).query_parameters()
    assert not Added().query_parameters()
