import torch

from distaff.nn.terms import Terms


def test_penalties_of_each_kind():
    terms = Terms(torch.tensor([[2.0], [0.0]]), n_sparse=1, n_dense=1)
    assert terms.n_factors == 3
    assert terms.inside().tolist() == [[1, 1, 1], [0, 1, 1]]
    assert terms.l1(0.5, 0.25).tolist() == [[0, 0.25, 0], [0.5, 0.25, 0]]
    assert terms.group(3).tolist() == [3, 0, 0]


def test_no_terms():
    terms = Terms(torch.zeros(2, 0))
    assert terms.n_factors == 0
    assert terms.inside().shape == terms.l1(1, 1).shape == (2, 0)
    assert terms.group(1).shape == (0,)
