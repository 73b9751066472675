"""The spike-and-slab distribution: zero with one probability, normal (through a link) with the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, register_kl

from distaff.ops import gather_cells, noise, rsample

__all__ = ["OFF", "SpikeSlab", "kl_spike_slab"]

OFF = -torch.inf  # value of u where the spike was drawn


class SpikeSlab(Distribution):
    r"""Spike and slab in each dimension :cite:p:`Tonolini19`.

    .. math:: q(u) = (1 - \gamma)\, \delta_{\text{off}} + \gamma\, N(\mu, \sigma^2)

    A draw of the spike has the value minus infinity in :math:`u`, which no slab takes.

    Parameters
    ----------
    loc
        Mean :math:`\mu` of the slab.
    scale
        Standard deviation :math:`\sigma` of the slab.
    logits
        Logit of the inclusion probability :math:`\gamma`.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's convention; parts check what they make

    def __init__(self, loc: Tensor, scale: Tensor, logits: Tensor) -> None:
        self.loc, self.scale, self.logits = torch.broadcast_tensors(loc, scale, logits)
        super().__init__(self.loc.shape, validate_args=False)

    @property
    def inclusion(self) -> Tensor:
        """Inclusion probability."""
        return torch.sigmoid(self.logits)

    @property
    def slab(self) -> Normal:
        """Distribution of ``u`` where it is on."""
        return Normal(self.loc, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        r"""Mean :math:`\gamma \mu` of ``z = u`` if on, else 0."""
        return self.inclusion * self.loc

    @property
    def variance(self) -> Tensor:
        r"""Variance :math:`\gamma \sigma^2 + \gamma (1 - \gamma) \mu^2` of ``z = u`` if on, else 0."""
        gamma = self.inclusion
        return gamma * self.scale.square() + gamma * (1 - gamma) * self.loc.square()

    @property
    def stddev(self) -> Tensor:
        """Square root of the variance."""
        return self.variance.sqrt()

    @torch.no_grad()
    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Exact draw of ``u``; minus infinity where the spike was drawn."""
        inclusion = self.inclusion.expand(*sample_shape, *self.loc.shape)
        on = noise(lambda _: torch.bernoulli(gather_cells(inclusion)), inclusion).bool()
        return torch.where(on, rsample(self.slab, sample_shape), OFF)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to a point mass at the spike plus Lebesgue measure."""
        off = value == OFF
        slab = self.slab.log_prob(torch.where(off, 0.0, value)) + nn.functional.logsigmoid(self.logits)
        return torch.where(off, nn.functional.logsigmoid(-self.logits), slab)


@register_kl(SpikeSlab, SpikeSlab)
def kl_spike_slab(q: SpikeSlab, p: SpikeSlab) -> Tensor:
    r"""Exact KL, from logits: finite for all.

    .. math::

        \gamma\, KL(N_q \| N_p) + \gamma \ln\frac{\gamma}{\gamma_p}
        + (1-\gamma) \ln\frac{1-\gamma}{1-\gamma_p}
    """
    gamma = q.inclusion
    ratio = (q.scale / p.scale).square()
    slab = 0.5 * (ratio + ((q.loc - p.loc) / p.scale).square() - 1.0 - ratio.log())
    log_on = nn.functional.logsigmoid(q.logits) - nn.functional.logsigmoid(p.logits)
    log_off = nn.functional.logsigmoid(-q.logits) - nn.functional.logsigmoid(-p.logits)
    return gamma * (slab + log_on) + (1.0 - gamma) * log_off
