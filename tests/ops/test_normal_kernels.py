"""Draw, divergence and gradients of a normal posterior against torch in float64."""

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from distaff.ops.kernels.normal import draw_normal, draw_normal_back

FLOOR, WEIGHT, N = 1e-4, 0.3, 500


def test_it_is_torchs():
    rng = np.random.default_rng(0)
    loc, log, noise, prior_loc, d_draw = (rng.normal(size=N).astype("f") for _ in range(5))
    log *= 3
    prior_scale = np.exp(rng.normal(size=N)).astype("f")
    scale, draw, kl, d_loc, d_log = log.copy(), *(np.empty(N, "f") for _ in range(4))
    draw_normal(loc, scale, FLOOR, noise, prior_loc, prior_scale, draw, kl)
    draw_normal_back(d_draw, WEIGHT, noise, loc, scale, FLOOR, prior_loc, prior_scale, d_loc, d_log)

    mean, log_variance = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (loc, log))
    deviation = (log_variance.exp() + FLOOR).sqrt()
    u = mean + deviation * torch.from_numpy(noise)
    prior = Normal(torch.from_numpy(prior_loc).double(), torch.from_numpy(prior_scale).double())
    divergence = kl_divergence(Normal(mean, deviation), prior)
    ((u * torch.from_numpy(d_draw)).sum() + WEIGHT * divergence.sum()).backward()
    for got, right in ((scale, deviation), (draw, u), (kl, divergence)):
        torch.testing.assert_close(torch.from_numpy(got).double(), right.detach(), rtol=2e-6, atol=2e-6)
    for got, right in ((d_loc, mean.grad), (d_log, log_variance.grad)):
        torch.testing.assert_close(torch.from_numpy(got).double(), right, rtol=5e-6, atol=1e-5)


def test_extremes():
    loc, log, noise = np.array([0, 0, np.nan], "f"), np.array([200, -200, 0], "f"), np.ones(3, "f")
    draw, kl = np.empty(3, "f"), np.empty(3, "f")
    draw_normal(loc, log, FLOOR, noise, np.zeros(3, "f"), np.ones(3, "f"), draw, kl)
    assert log[0] > 1e18  # the standard deviation; far beyond any that training survives
    assert abs(log[1] - FLOOR**0.5) < 1e-8
    assert np.isnan(draw[2])
    assert np.isnan(kl[2])
