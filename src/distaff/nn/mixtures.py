"""Priors made of several posteriors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, register_kl

from distaff.nn.spike_slab import SpikeSlab, kl_spike_slab

__all__ = ["NormalMixture", "SelectedSpikeSlab"]


class NormalMixture(Distribution):
    """Mixture, with equal weights, of diagonal normals over all dimensions together.

    Parameters
    ----------
    loc
        Means, shape (components, n_latent).
    scale
        Standard deviations, shape (components, n_latent).
    """

    arg_constraints = {}  # noqa: RUF012 - torch's convention

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = loc, scale
        super().__init__(torch.Size([1]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of (..., cells, n_latent), one number a cell: shape (..., cells, 1)."""
        components = Normal(self.loc, self.scale, validate_args=False)
        log_prob = components.log_prob(value.unsqueeze(-2)).sum(-1)
        return torch.logsumexp(log_prob, dim=-1, keepdim=True) - math.log(len(self.loc))


class SelectedSpikeSlab(Distribution):
    """One of several spike-and-slab distributions for each cell.

    Parameters
    ----------
    weights
        How much of each component a cell selects, shape (cells, components); rows sum to 1.
    components
        Distributions with batch shape (components, n_latent).
    """

    arg_constraints = {}  # noqa: RUF012 - torch's convention

    def __init__(self, weights: Tensor, components: SpikeSlab) -> None:
        self.weights, self.components = weights, components
        super().__init__(torch.Size([weights.shape[0], components.loc.shape[1]]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density under the component with the largest weight, shape (..., cells, n_latent)."""
        chosen = self.weights.argmax(-1)
        c = self.components
        return SpikeSlab(c.loc[chosen], c.scale[chosen], c.logits[chosen]).log_prob(value)


@register_kl(SpikeSlab, SelectedSpikeSlab)
def _kl_selected(q: SpikeSlab, p: SelectedSpikeSlab) -> Tensor:
    """Mean KL over the components: exact for a hard choice, an upper bound for a soft one."""
    wide = SpikeSlab(q.loc.unsqueeze(1), q.scale.unsqueeze(1), q.logits.unsqueeze(1))
    return (p.weights.unsqueeze(-1) * kl_spike_slab(wide, p.components)).sum(1)
