import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch import nn
from torch.distributions import kl_divergence

from distaff.nn import Identity, Softplus
from distaff.nn.gates import ConcreteGate, ShiftedSigmoidGate
from distaff.nn.posteriors import SpikeSlabPosterior
from distaff.nn.scheduled import Scheduled
from distaff.nn.spike_slab import OFF, SpikeSlab
from distaff.ops import Constant, Linear

ALMOST = 40.0  # logit of a probability that is 0 or 1 to 17 digits


def logit(gamma):
    gamma = torch.as_tensor(gamma, dtype=torch.float64)
    return torch.logit(gamma).clamp(-ALMOST, ALMOST)


def spike_slab(gamma, mu, sigma2):
    mu, sigma2 = (torch.as_tensor(value, dtype=torch.float64) for value in (mu, sigma2))
    return SpikeSlab(mu, sigma2.sqrt(), logit(gamma))


FIXED_PRIOR = [  # gamma, mu, sigma^2, alpha, KL in nats
    (0.5, 0.0, 1.0, 0.5, 0.0),
    (0.9, 1.0, 0.5, 0.1, 2.2946958931209513),
    (0.01, 2.0, 0.1, 0.01, 0.02701292546497023),
    (0.0, 3.0, 0.2, 0.01, 0.010050335853501506),
    (1.0, 1.0, 0.5, 0.01, 5.2017437762680645),
    (0.3, -1.5, 2.0, 0.2, 0.41169548051129157),
]


@pytest.mark.parametrize(("gamma", "mu", "sigma2", "alpha", "expected"), FIXED_PRIOR)
def test_kl_from_a_fixed_prior(gamma, mu, sigma2, alpha, expected):
    kl = kl_divergence(spike_slab(gamma, mu, sigma2), spike_slab(alpha, 0.0, 1.0))
    assert kl.item() == pytest.approx(expected, abs=1e-9)


def test_kl_from_the_posterior_of_a_pseudo_input():
    kl = kl_divergence(spike_slab(0.7, 0.5, 0.3), spike_slab(0.4, -0.2, 1.2))
    assert kl.item() == pytest.approx(0.5494065904454406, abs=1e-9)


def test_kl_against_monte_carlo(seeded):
    q = spike_slab([0.05, 0.5, 0.95, 0.3], [0.5, -1.0, 2.0, 0.0], [0.3, 1.5, 0.1, 1.0])
    p = spike_slab([0.1, 0.5, 0.2, 0.3], [0.0, 0.0, -0.5, 0.0], [1.0, 1.0, 2.0, 1.0])
    u = q.sample((200_000,))
    terms = q.log_prob(u) - p.log_prob(u)
    error = terms.std(0) / len(u) ** 0.5
    assert torch.all((terms.mean(0) - kl_divergence(q, p)).abs() <= 4 * error)


def test_kl_of_itself_is_zero_and_no_kl_is_negative():
    g = torch.Generator().manual_seed(1)

    def random():
        return SpikeSlab(*torch.randn(2, 200, generator=g).exp(), 5 * torch.randn(200, generator=g))

    q, p = random(), random()
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(200))
    assert (kl_divergence(q, p) > -1e-6).all()


@pytest.mark.parametrize("prior_logit", [-1e4, -5.0, 5.0, 1e4])
@pytest.mark.parametrize("logits", [-1e4, -200.0, -50.0, 0.0, 50.0, 200.0, 1e4])
def test_extreme_logits_are_finite(logits, prior_logit):
    leaves = [torch.tensor(value, requires_grad=True) for value in (0.5, 0.8, logits, 0.1, 1.2, prior_logit)]
    q, p = SpikeSlab(*leaves[:3]), SpikeSlab(*leaves[3:])
    values = torch.stack([kl_divergence(q, p), q.log_prob(torch.tensor(0.3)), q.log_prob(torch.tensor(OFF))])
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert all(torch.isfinite(leaf.grad) for leaf in leaves)


def test_kl_gradient():
    g = torch.Generator().manual_seed(0)
    leaves = [torch.randn(4, generator=g, dtype=torch.float64).exp().requires_grad_() for _ in range(6)]
    assert torch.autograd.gradcheck(lambda *x: kl_divergence(SpikeSlab(*x[:3]), SpikeSlab(*x[3:])), leaves)


def test_moments():
    q = spike_slab(0.3, 2.0, 0.5)
    assert q.mean.item() == pytest.approx(0.6, abs=1e-12)
    assert q.variance.item() == pytest.approx(0.99, abs=1e-12)
    assert q.stddev.item() == pytest.approx(0.99**0.5, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.01, 0.3, 0.999])
def test_probabilities_sum_to_one(gamma):
    q = spike_slab(gamma, 0.7, 0.2)
    on, _ = quad(lambda u: q.log_prob(torch.tensor(u)).exp().item(), -5.0, 6.0, points=[0.7])
    off = q.log_prob(torch.tensor(OFF)).exp().item()
    assert off == pytest.approx(1 - gamma, abs=1e-12)
    assert on + off == pytest.approx(1.0, abs=1e-8)


def test_log_prob_broadcasts_and_mixes_on_and_off():
    q = spike_slab([[0.2, 0.6], [0.3, 0.9]], 0.0, 1.0)
    u = torch.tensor([[0.5, OFF], [OFF, OFF]], dtype=torch.float64)
    expected = [
        [np.log(0.2) + stats.norm.logpdf(0.5), np.log(0.4)],
        [np.log(0.7), np.log(0.1)],
    ]
    np.testing.assert_allclose(q.log_prob(u), expected, rtol=1e-9)
    assert q.log_prob(u.unsqueeze(1)).shape == (2, 2, 2)


def test_draws_are_on_as_often_as_said_and_normal_where_on(seeded):
    gamma = torch.tensor([0.02, 0.5, 0.9], dtype=torch.float64)
    q = spike_slab(gamma, [1.0, -1.0, 0.0], [0.25, 4.0, 1.0])
    u = q.sample((50_000,))
    assert u.shape == (50_000, 3)
    on = u != OFF
    error = (gamma * (1 - gamma) / len(u)).sqrt()
    assert torch.all((on.double().mean(0) - gamma).abs() < 4 * error)
    for d in range(3):
        drawn = (u[on[:, d], d] - q.loc[d]) / q.scale[d]
        assert stats.kstest(drawn.numpy(), "norm").pvalue > 0.001


def test_draws_of_certain_spikes_and_slabs(seeded):
    q = SpikeSlab(torch.zeros(2), torch.ones(2), torch.tensor([-1e4, 1e4]))
    u = q.sample((100,))
    assert torch.equal(u == OFF, torch.tensor([True, False]).expand(100, 2))


def test_the_arguments_broadcast():
    q = SpikeSlab(torch.zeros(3), torch.ones(4, 1), torch.zeros(()))
    assert q.batch_shape == (4, 3)
    assert q.sample().shape == (4, 3)


def posterior(link, gate, slab_weight=None):
    """A posterior of given moments: gamma 0.3, mu 2, sigma^2 0.5."""
    part = SpikeSlabPosterior(2, 1, link, gate, Scheduled(slab_weight or Constant(1.0)))
    for layer, bias in (
        (part.slab.mean, 2.0),
        (part.slab.log_variance, np.log(0.5 - 1e-4)),
        (part.logits, logit(0.3)),
    ):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, float(bias))
    return part


GATES = [ConcreteGate(Scheduled(Constant(0.2))), ShiftedSigmoidGate(Scheduled(Constant(50.0)))]


@pytest.mark.parametrize(
    ("weight", "mean", "variance"), [(0.0, 0.0, 1.0), (0.25, 0.5, 0.875), (1.0, 2.0, 0.5)]
)
def test_slab_in_its_warm_up(seeded, weight, mean, variance):
    part = posterior(Identity(), GATES[0], Constant(weight))
    u, _ = part.draw(part(torch.zeros(50_000, 2)))
    assert u.mean().item() == pytest.approx(mean, abs=4 * (variance / 50_000) ** 0.5)
    assert u.var().item() == pytest.approx(variance, abs=4 * variance * (2 / 50_000) ** 0.5)


def test_the_warm_up_follows_the_steps(seeded):
    part = posterior(Identity(), GATES[0], Linear(0.0, 1.0, n_steps=100))
    q = part(torch.zeros(20_000, 2))
    means = [part.draw(q, step=step)[0].mean().item() for step in (0, 50, 100)]
    assert means == pytest.approx([0.0, 1.0, 2.0], abs=0.04)


@pytest.mark.parametrize("link", [Identity(), Softplus()])
@pytest.mark.parametrize("gate", GATES)
def test_evaluation_draws_exactly_and_reports_the_mean(seeded, gate, link):
    part = posterior(link, gate, Constant(0.0)).eval()  # neither relaxation nor warm-up count any more
    q = part(torch.zeros(50_000, 2))
    u, z = part.draw(q)
    assert torch.equal(z == 0.0, u == OFF)
    error = z.std() / len(z) ** 0.5
    reported = part.representation(q)
    assert torch.equal(reported, reported[:1].expand_as(reported))
    assert abs(z.mean() - reported[0, 0]) < 4 * error


@pytest.mark.parametrize("gate", GATES)
def test_training_draws_carry_gradients_to_all_three_parameters(seeded, gate):
    part = posterior(Identity(), gate).train()
    u, z = part.draw(part(torch.zeros(2000, 2)))
    assert torch.isfinite(u).all()
    z.square().mean().backward()
    for layer in (part.slab.mean, part.slab.log_variance, part.logits):
        assert layer.bias.grad.abs().item() > 0


@pytest.mark.parametrize("training", [True, False])
def test_shapes_of_several_draws(seeded, training):
    part = posterior(Identity(), GATES[0]).train(training)
    u, z = part.draw(part(torch.zeros(4, 2)), (5,))
    assert u.shape == z.shape == (5, 4, 1)
