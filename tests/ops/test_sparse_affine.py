"""The affine map of sparse weights against a dense product."""

import numpy as np
import pytest
import torch

from distaff.ops.sparse_affine import Pattern, SparseAffine, few_nonzeros

N_CELLS, N_FACTORS, N_GENES = 83, 40, 53


def problem(share=0.08, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(N_FACTORS, N_GENES)) * (rng.random((N_FACTORS, N_GENES)) < share)
    arrays = rng.normal(size=(N_CELLS, N_FACTORS)), weight, rng.normal(size=N_GENES)
    return [torch.tensor(a, dtype=torch.float32) for a in arrays]


def at(pattern, weight):
    return weight.numpy().reshape(-1)[pattern.positions]


def blocks_of(affine, gradient, size):
    out = torch.empty(N_CELLS, N_GENES)
    for start in range(0, N_CELLS, size):
        cells = slice(start, min(start + size, N_CELLS))
        affine.forward(cells, out[cells])
        affine.backward(cells, gradient[cells])
    return out


@pytest.mark.parametrize("size", [1, 8, 16, 64, 83])
@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
def test_it_is_the_dense_product(size, everywhere, with_bias):
    features, weight, bias = problem()
    bias = bias if with_bias else None
    gradient = torch.randn(N_CELLS, N_GENES, generator=torch.Generator().manual_seed(1))
    pattern = few_nonzeros(weight)
    affine = SparseAffine(features, at(pattern, weight), bias, pattern, everywhere=everywhere)
    out = blocks_of(affine, gradient, size)
    torch.testing.assert_close(out, features @ weight + (0 if bias is None else bias))
    d_features, d_weight = affine.gradients()
    torch.testing.assert_close(d_features, gradient @ weight.T)
    dense = features.T @ gradient
    if everywhere:
        torch.testing.assert_close(d_weight, dense.T)
    else:
        assert d_weight is None
        found = torch.from_numpy(affine.d_values)
        torch.testing.assert_close(found, dense.flatten()[torch.from_numpy(pattern.positions)])


def test_a_pattern_may_be_larger_than_the_non_zeros():
    features, weight, bias = problem()
    everything = Pattern.of(np.arange(weight.numel()), weight.shape)
    affine = SparseAffine(features, at(everything, weight), bias, everything, everywhere=True)
    torch.testing.assert_close(blocks_of(affine, torch.zeros(N_CELLS, N_GENES), 8), features @ weight + bias)
    assert not everything.is_sparse(N_FACTORS)


def test_only_many_factors_with_few_non_zeros_are_worth_it():
    assert few_nonzeros(problem(share=0.3)[1]) is None
    assert few_nonzeros(problem()[1][:10].contiguous()) is None
    assert few_nonzeros(torch.zeros(40, 5)).positions.size == 0
