import pytest
import torch

from distaff.ops import sparse_linear


def batch(n_cells=13, n_genes=37, n_out=5, density=0.3, seed=0, index=torch.int64):
    g = torch.Generator().manual_seed(seed)
    dense = torch.randn(n_cells, n_genes, generator=g) * (torch.rand(n_cells, n_genes, generator=g) < density)
    csr = dense.to_sparse_csr()
    csr = torch.sparse_csr_tensor(
        csr.crow_indices().to(index),
        csr.col_indices().to(index),
        csr.values(),
        csr.shape,
        check_invariants=True,
    )
    weight = torch.randn(n_genes, n_out, generator=g).t().requires_grad_()
    bias = torch.randn(n_out, generator=g).requires_grad_()
    return csr, dense, weight, bias, torch.randn(n_cells, n_out, generator=g)


def in_double(dense, weight, bias, gradient):
    weight, bias = (t.detach().double().requires_grad_() for t in (weight, bias))
    y = torch.nn.functional.linear(dense.double(), weight, bias)
    y.backward(gradient.double())
    return y, weight.grad, bias.grad


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("n_out", [1, 5, 128])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (1, 300), (64, 1), (40, 200)])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_value_and_gradients_against_double(n_cells, n_genes, density, n_out, index):
    csr, dense, weight, bias, gradient = batch(n_cells, n_genes, n_out, density, index=index)
    y = sparse_linear(csr, weight, bias)
    y.backward(gradient)
    for got, expected in zip(
        (y, weight.grad, bias.grad), in_double(dense, weight, bias, gradient), strict=True
    ):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=2e-5)


def test_gradient_of_the_weight_is_laid_out_by_gene():
    csr, _, weight, _, gradient = batch()
    sparse_linear(csr, weight).backward(gradient)
    assert weight.grad.t().is_contiguous()


def test_layout_of_the_weight_does_not_matter():
    csr, _, weight, bias, _ = batch()
    assert torch.equal(sparse_linear(csr, weight, bias), sparse_linear(csr, weight.contiguous(), bias))


def test_genes_without_counts_have_no_gradient():
    csr, dense, weight, _, gradient = batch(density=0.05)
    sparse_linear(csr, weight).backward(gradient)
    empty = (dense == 0).all(dim=0)
    assert empty.any()
    assert not weight.grad[:, empty].any()


def test_gradient_of_a_strided_output():
    csr, _, weight, bias, gradient = batch()
    sparse_linear(csr, weight, bias).backward(gradient)
    expected = weight.grad.clone()
    weight.grad = None
    sparse_linear(csr, weight, bias).t().backward(gradient.t())
    assert torch.equal(weight.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_inputs_go_through_torch(dtype):
    csr, dense, weight, bias, _ = batch()
    expected = sparse_linear(csr, weight, bias)
    for x in (dense.to(dtype), dense.to(dtype).to_sparse_csr(), dense.to(dtype).to_sparse_coo()):
        got = sparse_linear(x, weight.to(dtype), bias.to(dtype))
        torch.testing.assert_close(got.float(), expected, rtol=1e-5, atol=1e-5)


def test_same_bits_each_time():
    csr, _, weight, bias, gradient = batch(60, 300, 128)
    runs = []
    for _ in range(2):
        weight.grad = None
        y = sparse_linear(csr, weight, bias)
        y.backward(gradient)
        runs.append((y, weight.grad))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_other_number_of_genes():
    csr, _, weight, _, _ = batch()
    with pytest.raises(ValueError, match="one column per gene of x, got 36 for 37"):
        sparse_linear(csr, weight[:, 1:])
