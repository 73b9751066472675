import pytest
import torch
from torch.distributions import Normal, StudentT

from distaff.ops import kl_divergence


def test_closed_form_agrees_with_monte_carlo():
    q = Normal(torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.3, 1.5, 0.05]]))
    p = Normal(torch.zeros(3), torch.ones(3))
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    sample = q.sample((200_000,))
    torch.random.set_rng_state(generator_state)
    terms = q.log_prob(sample) - p.log_prob(sample)
    error = terms.std(0) / len(sample) ** 0.5
    exact = kl_divergence(q, p, sample[0])
    assert torch.all((terms.mean(0) - exact).abs() < 4 * error)


def test_closed_form_of_the_standard_normal_prior():
    loc, scale = torch.tensor([1.0, -0.5]), torch.tensor([0.5, 2.0])
    expected = 0.5 * (loc**2 + scale**2 - 1) - scale.log()
    assert kl_divergence(Normal(loc, scale), Normal(0.0, 1.0), loc).tolist() == pytest.approx(
        expected.tolist()
    )


def test_without_a_closed_form_it_is_the_log_ratio_at_the_sample():
    q, p = StudentT(torch.full((4, 2), 5.0)), Normal(torch.ones(2), torch.ones(2))
    sample = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    with pytest.raises(NotImplementedError):
        torch.distributions.kl_divergence(q, p)
    expected = q.log_prob(sample) - p.log_prob(sample)
    assert torch.equal(kl_divergence(q, p, sample), expected)


def test_gradient_of_the_normal_closed_form():
    g = torch.Generator().manual_seed(0)
    loc = torch.randn(4, 3, generator=g, dtype=torch.float64).requires_grad_()
    scale = (torch.rand(4, 3, generator=g, dtype=torch.float64) + 0.3).requires_grad_()
    prior = Normal(torch.tensor([0.0, 1.0, -2.0]).double(), torch.tensor([1.0, 0.5, 3.0]).double())

    def kl(loc, scale):
        return kl_divergence(Normal(loc, scale), prior, loc)

    assert torch.autograd.gradcheck(kl, (loc, scale))
    own = torch.distributions.kl_divergence(Normal(loc, scale), prior)
    assert torch.equal(kl(loc, scale), own)
