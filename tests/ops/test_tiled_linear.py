"""The tiled sparse layer against float64, at the edges of its tiles and blocks."""

import pytest
import torch

from distaff.ops import tiled, tiled_linear


def problem(n_cells=13, n_genes=37, n_out=5, density=0.3, seed=0):
    g = torch.Generator().manual_seed(seed)
    dense = torch.rand(n_cells, n_genes, generator=g) * 9
    dense *= torch.rand(n_cells, n_genes, generator=g) < density
    weight = torch.randn(n_out, n_genes, generator=g) / n_genes**0.5
    return dense, weight, torch.randn(n_out, generator=g)


def expected(dense, weight, base):
    return dense.double() @ weight.double().T + base.double()


@pytest.mark.parametrize("n_out", [1, 5, 64, 65, 128])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (1, 300), (64, 1), (40, 200)])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_value_against_double(n_cells, n_genes, density, n_out):
    dense, weight, bias = problem(n_cells, n_genes, n_out, density)
    y = tiled_linear(dense.to_sparse_csr(), tiled(weight), bias)
    assert y.shape == (n_cells, n_out)
    torch.testing.assert_close(y.double(), expected(dense, weight, bias), rtol=1e-6, atol=1e-5)


def test_more_genes_and_cells_than_pass_at_once():
    dense, weight, bias = problem(2100, 5000, 70, 0.02)
    y = tiled_linear(dense.to_sparse_csr(), tiled(weight), bias)
    torch.testing.assert_close(y.double(), expected(dense, weight, bias), rtol=1e-6, atol=1e-5)


def test_genes_in_any_order():
    dense, weight, bias = problem(20, 5000, 3, 0.1)
    x = dense.to_sparse_csr()
    counts = x.crow_indices().diff().tolist()
    g = torch.Generator().manual_seed(0)
    order = torch.cat(
        [
            start + torch.randperm(n, generator=g)
            for start, n in zip(x.crow_indices().tolist(), counts, strict=False)
        ]
    )
    mixed = torch.sparse_csr_tensor(
        x.crow_indices(), x.col_indices()[order], x.values()[order], x.shape, check_invariants=False
    )
    y = tiled_linear(mixed, tiled(weight), bias)
    torch.testing.assert_close(y.double(), expected(dense, weight, bias), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_a_base_of_each_cell(index):
    dense, weight, _ = problem(1500, 30, 5)
    base = torch.randn(1500, 5, generator=torch.Generator().manual_seed(1))
    x = dense.to_sparse_csr()
    x = torch.sparse_csr_tensor(
        x.crow_indices().to(index), x.col_indices().to(index), x.values(), x.shape, check_invariants=True
    )
    y = tiled_linear(x, tiled(weight), base)
    torch.testing.assert_close(y.double(), expected(dense, weight, base), rtol=1e-6, atol=1e-5)


def test_logarithm():
    dense, weight, bias = problem(1500, 60, 5)
    dense[0, :4] = torch.tensor([0.0, 1e-7, 1e6, 1.0])
    dense[1, :2] = torch.nan
    y = tiled_linear(dense.to_sparse_csr(), tiled(weight), bias, logarithm=True)
    assert y[1].isnan().all()
    reference = expected(dense.double().log1p(), weight, bias)
    torch.testing.assert_close(y.double(), reference, rtol=1e-6, atol=5e-6, equal_nan=True)


def test_a_cell_is_the_same_whatever_is_beside_it():
    dense, weight, bias = problem(1300, 3000, 128, 0.05)
    tiles = tiled(weight)
    together = tiled_linear(dense.to_sparse_csr(), tiles, bias, logarithm=True)
    for cell in (0, 1023, 1024, 1299):
        alone = tiled_linear(dense[cell : cell + 1].to_sparse_csr(), tiles, bias, logarithm=True)
        assert torch.equal(alone[0], together[cell])


def test_shapes_that_do_not_fit():
    dense, weight, bias = problem()
    x = dense.to_sparse_csr()
    with pytest.raises(ValueError, match="tiles must have one row per gene of x, got 36 for 37"):
        tiled_linear(x, tiled(weight[:, 1:]), bias)
    with pytest.raises(ValueError, match="base must have one row per cell of x, got 2 for 13"):
        tiled_linear(x, tiled(weight), bias.expand(2, -1))
