import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Normal

from distaff.nn import Exponential, ExponentialQuantile, Identity, Simplex, Softplus
from distaff.nn.spike_slab import SpikeSlab

SCALAR_LINKS = {
    Identity: lambda u: u,
    Softplus: lambda u: np.logaddexp(0.0, u),
    Exponential: np.exp,
    ExponentialQuantile: lambda u: -stats.norm.logsf(u),  # expon.ppf(norm.cdf(u)), finite above 8 too
}
LINKS = [*SCALAR_LINKS, Simplex]


def normal(loc, scale, dtype=torch.float64):
    return Normal(torch.tensor(loc, dtype=dtype), torch.tensor(scale, dtype=dtype))


@pytest.mark.parametrize("link", SCALAR_LINKS)
def test_values(link):
    u = torch.linspace(-5.0, 5.0, 41, dtype=torch.float64)
    np.testing.assert_allclose(link()(u), SCALAR_LINKS[link](u.numpy()), rtol=1e-9)


@pytest.mark.parametrize("link", SCALAR_LINKS)
def test_centre_is_the_median(link):
    q = normal([[0.5, -1.0, 2.0]], [[0.3, 1.0, 0.1]])
    draws = link()(q.sample((100_001,)))
    below = (draws < link().centre(q)).double().mean(0)
    assert torch.all((below - 0.5).abs() < 4 * 0.5 / 100_001**0.5)


def test_simplex_centre_against_monte_carlo():
    q = normal([[0.5, -1.0, 2.0], [0.0, 3.0, -2.0]], [[0.3, 1.0, 0.1], [0.8, 0.5, 1.0]])
    noise = torch.randn(200_000, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = Simplex()(q.loc + q.scale * noise)
    # it is Monte Carlo itself, over 512 antithetic pairs: never worse than 1024 draws
    error = draws.std(0) / len(draws) ** 0.5 + draws.std(0) / 1024**0.5
    assert torch.all((Simplex().centre(q) - draws.mean(0)).abs() < 4 * error)


def test_exponential_quantile_is_the_quantile_of_the_probability():
    u = np.linspace(-5.0, 5.0, 41)
    np.testing.assert_allclose(
        ExponentialQuantile()(torch.from_numpy(u)), stats.expon.ppf(stats.norm.cdf(u)), rtol=1e-9
    )


def test_a_standard_normal_becomes_a_standard_exponential():
    u = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    assert stats.kstest(ExponentialQuantile()(u).numpy(), "expon").pvalue > 0.01


@pytest.mark.parametrize("link", [Softplus, ExponentialQuantile])
def test_positive_links_are_finite_far_out(link):
    u = torch.tensor([-1e4, -200.0, -40.0, -10.0, 0.0, 10.0, 40.0, 200.0, 1e4], requires_grad=True)
    z = link()(u)
    z.sum().backward()
    assert torch.isfinite(z).all()
    assert torch.isfinite(u.grad).all()
    assert (z >= 0).all()
    assert (z.diff() >= 0).all()


def test_simplex_against_quadrature():
    # E softmax in two dimensions is E logistic(u_1 - u_2), a one-dimensional integral
    q = normal([[1.0, 0.0]], [[0.5**0.5, 0.5**0.5]])
    expected = [0.6967346701436833, 0.3032653298563167]
    mean = Simplex().centre(q)[0]
    assert mean.tolist() == pytest.approx(expected, abs=0.005)
    assert mean[0].item() < 0.72  # softmax of the mean would be 0.731


def test_simplex_rows_sum_to_one():
    g = torch.Generator().manual_seed(1)
    q = Normal(5 * torch.randn(20, 7, generator=g), 3 * torch.rand(20, 7, generator=g) + 0.01)
    torch.testing.assert_close(Simplex().centre(q).sum(-1), torch.ones(20))
    torch.testing.assert_close(Simplex()(q.loc).sum(-1), torch.ones(20))


def test_simplex_centre_is_deterministic_and_draws_from_no_global_generator():
    q = normal([[1.0, 0.0, -2.0]], [[1.0, 2.0, 0.5]])
    state = torch.random.get_rng_state()
    first = Simplex().centre(q)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(Simplex().centre(q), first)


def test_simplex_centre_of_a_cell_does_not_depend_on_the_others():
    q = normal([[1.0, 0.0], [3.0, -1.0], [0.0, 0.0]], [[1.0, 2.0], [0.1, 0.1], [1.0, 1.0]])
    alone = Simplex().centre(Normal(q.loc[1:2], q.scale[1:2]))
    torch.testing.assert_close(Simplex().centre(q)[1:2], alone)


@pytest.mark.parametrize("link", LINKS)
def test_without_variance_the_centre_is_the_value(link):
    loc = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(link().centre(Normal(loc, torch.full_like(loc, 1e-9))), link()(loc))


@pytest.mark.parametrize("link", LINKS)
def test_dtype_and_shape_are_kept(link):
    q = normal([[0.5, -1.0]] * 4, [[0.5, 1.0]] * 4, torch.float32)
    assert link().centre(q).dtype == torch.float32
    assert link().centre(q).shape == (4, 2)
    assert link()(q.loc.expand(3, 4, 2)).shape == (3, 4, 2)


@pytest.mark.parametrize("link", LINKS)
def test_gradient(link):
    u = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(link(), u)


@pytest.mark.parametrize("link", [Identity, Softplus, Exponential, ExponentialQuantile])
def test_the_centre_of_a_slab_is_that_of_a_normal(link):
    slab = SpikeSlab(torch.tensor([[0.5]]), torch.tensor([[0.7]]), torch.tensor([[0.0]])).slab
    torch.testing.assert_close(
        link().centre(slab), link().centre(Normal(torch.tensor([[0.5]]), torch.tensor([[0.7]])))
    )
