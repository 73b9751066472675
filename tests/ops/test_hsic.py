import numpy as np
import pytest
import torch

from distaff.ops import hsic, hsic_matrix


def latent(n_cells, n_dims, seed=0, dtype=torch.float64):
    return torch.randn(n_cells, n_dims, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def textbook(x, y):
    """tr(K C L C) / M^2 with explicit matrices and loops."""
    n = len(x)

    def kernel(x):
        return np.array([[np.exp(-((a - b) ** 2) / (2 * x.var())) for a in x] for b in x])

    centre = np.eye(n) - 1 / n
    return np.trace(kernel(x) @ centre @ kernel(y) @ centre) / n**2


def test_against_the_textbook():
    z = latent(20, 4)
    z[:, 3] = z[:, 0] ** 2
    expected = [[textbook(x, y) for x in z.numpy().T] for y in z.numpy().T]
    np.testing.assert_allclose(hsic_matrix(z), expected, rtol=1e-6)
    pairs = [expected[d][e] for d in range(4) for e in range(d)]
    assert float(hsic(z)) == pytest.approx(np.mean(pairs), rel=1e-6)


def test_dependence_that_no_correlation_sees_stands_out_of_permutations():
    x = latent(150, 1)[:, 0]
    y = x.square() + 0.3 * latent(150, 1, seed=1)[:, 0]
    observed = float(hsic(torch.stack([x, y], 1)))
    g = torch.Generator().manual_seed(2)
    null = [float(hsic(torch.stack([x, y[torch.randperm(150, generator=g)]], 1))) for _ in range(99)]
    assert observed > 3 * max(null)
    # the mean under independence, (1 - E k)(1 - E l) / M to the first order
    kernels = [torch.exp(-((v[:, None] - v).square()) / (2 * v.var(correction=0))) for v in (x, y)]
    off_diagonal = [(k.sum() - 150) / (150 * 149) for k in kernels]
    expected = float((1 - off_diagonal[0]) * (1 - off_diagonal[1]) / 150)
    assert np.mean(null) == pytest.approx(expected, rel=0.1)


def test_independent_dimensions_have_little():
    values = [float(hsic(latent(n, 5))) for n in (50, 200, 800)]
    assert values[0] > values[1] > values[2]
    assert values[2] < 1e-3


def test_units_and_signs_of_a_dimension_do_not_matter():
    z = latent(40, 3)
    torch.testing.assert_close(
        hsic_matrix(z * torch.tensor([100.0, -1.0, 5.0]) + 3.0), hsic_matrix(z), rtol=1e-6, atol=0.0
    )


def test_order_of_cells_does_not_matter():
    z = latent(30, 4)
    torch.testing.assert_close(hsic_matrix(z[torch.randperm(30)]), hsic_matrix(z))


def test_gradient():
    assert torch.autograd.gradcheck(hsic, latent(7, 3).requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6, 1e-4, 1.0, 1e10])
@pytest.mark.parametrize(("n_cells", "n_dims"), [(1, 3), (2, 1), (2, 2), (2, 500), (16, 500)])
def test_finite_and_non_negative(n_cells, n_dims, scale, dtype):
    z = (scale * latent(n_cells, n_dims, dtype=dtype)).requires_grad_()
    value = hsic(z)
    value.backward()
    assert 0.0 <= value.item() < 1.0
    assert torch.isfinite(z.grad).all()


def test_constant_dimensions_count_for_nothing():
    z = latent(20, 3)
    z[:, 1] = 4.0
    z.requires_grad_()
    matrix = hsic_matrix(z)
    assert matrix[1].abs().max() < 1e-25  # rounding alone
    (gradient,) = torch.autograd.grad(matrix.triu(1).sum(), z)
    assert gradient[:, 1].abs().max() < 1e-12
    assert gradient[:, 0].abs().max() > 0


def test_a_sparse_dimension_has_a_bandwidth():
    # more than half of the pairs are equal: the median heuristic would give zero
    z = torch.zeros(40, 2, dtype=torch.float64)
    z[:5] = latent(5, 1)
    assert float(hsic(z)) > 0.01


def test_one_dimension_has_no_pairs():
    assert float(hsic(latent(5, 1))) == 0.0
