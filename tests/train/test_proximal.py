"""Proximal steps after Adam's, in its metric and as the paper takes them."""

import pytest
import torch

from distaff.nn.annotated_decoder import Proximal
from distaff.train.proximal import apply_proximal_steps

N_STEPS = 700
LR = 0.02
TINY = 1e-12  # an eps that leaves Adam's steps independent of the scale of the loss


class Decoder:
    """A weight under penalties, zero at the start."""

    def __init__(self, shape=(6, 8), *, l1=0.0, group=0.0, in_metric=True):
        self.weight = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        full = torch.full(shape, l1, dtype=torch.float64)
        self.target = Proximal(self.weight, full, torch.full(shape[1:], group).double(), in_metric)

    def proximal(self):
        return [self.target]


@pytest.fixture(scope="module")
def regression():
    """Three factors that matter and five that do not: scores (cells, factors), expression (cells, genes)."""
    generator = torch.Generator().manual_seed(0)
    Z = torch.randn(200, 8, generator=generator, dtype=torch.float64)
    W = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    W[:, 3:] = 0
    noise = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    return Z, Z @ W.T + 0.5 * noise


def fit(regression, *, scale=1.0, eps=TINY, n_steps=N_STEPS, **penalties):
    """Weights of penalised least squares, and how often one left zero in the last half of the steps."""
    Z, Y = regression
    decoder = Decoder(**penalties)
    optimiser = torch.optim.Adam([decoder.weight], lr=LR, eps=eps)
    revivals = 0
    for step in range(n_steps):
        optimiser.zero_grad()
        (scale * loss_of(Z, Y, decoder.weight)).backward()
        before = decoder.weight.detach().clone()
        optimiser.step()
        apply_proximal_steps(decoder, optimiser)
        if step >= n_steps // 2:
            revivals += int(((before == 0) & (decoder.weight != 0)).sum())
    return decoder.weight.detach(), revivals


def loss_of(Z, Y, weight):
    return 0.5 * (Y - Z @ weight.T).square().sum(1).mean()


def slack(regression, weight, l1):
    """How far the weights are from a stationary point, and the largest gradient of those at zero."""
    Z, Y = regression
    at = weight.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(Z, Y, at), at)
    on = weight != 0
    return (gradient + l1 * weight.sign())[on].abs().max(), gradient[~on].abs().amax() if (~on).any() else 0.0


def test_a_step_of_the_paper_by_hand():
    decoder = Decoder((2, 2), in_metric=False)
    with torch.no_grad():
        decoder.weight.copy_(torch.tensor([[0.31, 0.12], [0.41, -0.07]]))
    decoder.target.l1.copy_(torch.tensor([[0.0, 1.0], [0.0, 0.5]]))
    decoder.target.group.copy_(torch.tensor([2.0, 0.0]))
    optimiser = torch.optim.Adam([decoder.weight], lr=0.01, eps=TINY)
    decoder.weight.grad = torch.tensor([[4.0, 4.0], [4.0, -0.001]], dtype=torch.float64)
    optimiser.step()  # the first step of Adam is lr times the sign: 0.30, 0.11, 0.40, -0.06
    apply_proximal_steps(decoder, optimiser)
    # group: norm 0.5 shrinks by 0.01 * 2, a factor 0.96; L1: thresholds 0.01 * (1, 0.5)
    expected = torch.tensor([[0.288, 0.10], [0.384, -0.055]], dtype=torch.float64)
    torch.testing.assert_close(decoder.weight.detach(), expected, rtol=0, atol=1e-7)


def test_a_step_in_the_metric_by_hand():
    decoder = Decoder((2, 1), l1=1.0)
    with torch.no_grad():
        decoder.weight.copy_(torch.tensor([[0.31], [0.012]]))
    optimiser = torch.optim.Adam([decoder.weight], lr=0.01, eps=TINY)
    decoder.weight.grad = torch.tensor([[4.0], [0.1]], dtype=torch.float64)
    optimiser.step()  # to 0.30 and 0.002
    apply_proximal_steps(decoder, optimiser)  # thresholds 0.01 / 4 and 0.01 / 0.1
    expected = torch.tensor([[0.2975], [0.0]], dtype=torch.float64)
    torch.testing.assert_close(decoder.weight.detach(), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("in_metric", [True, False])
def test_a_penalty_above_all_gradients_leaves_exact_zeros(regression, in_metric):
    weight, revivals = fit(regression, n_steps=50, l1=100.0, in_metric=in_metric)
    assert (weight == 0).all()
    assert revivals == 0


def test_in_the_metric_training_stops_where_the_penalised_loss_does(regression):
    weight, revivals = fit(regression, l1=0.2)
    off, below = slack(regression, weight, 0.2)
    assert off < 1e-6
    assert below <= 0.2
    assert (weight[:, 3:] == 0).all()
    assert revivals == 0


def test_as_in_the_paper_it_does_not(regression):
    weight, _ = fit(regression, l1=0.2, in_metric=False)
    off, _ = slack(regression, weight, 0.2)
    assert off > 0.15  # nearly the whole penalty: the smallest gradients are scaled up most
    assert (weight[:, 3:] != 0).double().mean() > 0.5


def test_strength_and_the_scale_of_the_loss(regression):
    # the paper's form does not see the scale of the loss; in the metric the penalty is in its units
    options = {"l1": 0.2, "n_steps": 300}
    paper, _ = fit(regression, in_metric=False, **options)
    paper_10, _ = fit(regression, scale=10.0, in_metric=False, **options)
    torch.testing.assert_close(paper_10, paper, rtol=0, atol=1e-6)
    metric, _ = fit(regression, **options)
    metric_10, _ = fit(regression, scale=10.0, l1=2.0, n_steps=300)
    torch.testing.assert_close(metric_10, metric, rtol=0, atol=1e-6)
    weaker, _ = fit(regression, scale=10.0, **options)
    assert weaker.abs().sum() > metric.abs().sum() + 0.5


def test_a_frozen_weight_stays(regression):
    decoder = Decoder(l1=1.0)
    with torch.no_grad():
        decoder.weight.fill_(0.1)
    apply_proximal_steps(decoder, torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]))
    assert (decoder.weight == 0.1).all()
