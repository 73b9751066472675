"""Priors of the latent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from distaff.nn.mixtures import NormalMixture, SelectedSpikeSlab
from distaff.nn.points import Flat
from distaff.nn.spike_slab import SpikeSlab

__all__ = [
    "AbstractPrior",
    "FlatPrior",
    "PseudoInputPrior",
    "SpikeSlabPrior",
    "StandardNormalPrior",
    "VampPrior",
]

SMALLEST_MEAN = 1e-6

Encode = Callable[[Tensor], Any]  # expression as the encoder reads it, (cells, genes), to q(u | x)


class AbstractPrior(nn.Module):
    """Prior ``p(u)``; ELBO, marginal likelihood and sampling ask this one object."""

    @abstractmethod
    def forward(self, features: Tensor, encode: Encode) -> Distribution:
        """``p(u)``, broadcastable to (cells, n_latent).

        Priors made of pseudo-inputs call ``encode``; those that choose among them by cell read the
        cell's ``features``, shape (cells, n_hidden).
        """

    def cost(self, p: Distribution) -> Tensor | float:
        """Return what the prior itself costs, a scalar, nats a cell; 0 unless a class says otherwise."""
        del p
        return 0.0


class StandardNormalPrior(AbstractPrior):
    """``N(0, 1)`` in each dimension.

    Parameters
    ----------
    n_latent
        Number of latent dimensions.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(n_latent), persistent=False)
        self.register_buffer("scale", torch.ones(n_latent), persistent=False)

    def forward(self, features: Tensor, encode: Encode) -> Normal:
        """``p(u)`` with batch shape (n_latent,)."""
        del features, encode
        return Normal(self.loc, self.scale, validate_args=False)


class FlatPrior(AbstractPrior):
    """No preference: goes with a deterministic code."""

    def forward(self, features: Tensor, encode: Encode) -> Flat:
        """Return the same log density, 0, everywhere."""
        del features, encode
        return Flat()


class SpikeSlabPrior(AbstractPrior):
    r"""On with probability :math:`\alpha`, and then ``N(0, 1)`` :cite:p:`Tonolini19`.

    Parameters
    ----------
    n_latent
        Number of latent dimensions.
    alpha
        Probability that a dimension is on, in (0, 1).
    """

    logits: Tensor

    def __init__(self, n_latent: int, alpha: float) -> None:
        super().__init__()
        self.register_buffer("logits", torch.full((n_latent,), alpha).logit(), persistent=False)

    def forward(self, features: Tensor, encode: Encode) -> SpikeSlab:
        """``p(u)`` with batch shape (n_latent,)."""
        del features, encode
        return SpikeSlab(torch.zeros_like(self.logits), torch.ones_like(self.logits), self.logits)


class PseudoInputs(nn.Module):
    """Learned expression profiles, non-negative, as the encoder reads them.

    Parameters
    ----------
    n_inputs
        Number of profiles.
    n_genes
        Number of genes.
    """

    def __init__(self, n_inputs: int, n_genes: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(n_inputs, n_genes) - 1.0)

    def forward(self) -> Tensor:
        """Profiles (n_inputs, genes)."""
        return nn.functional.softplus(self.raw)


class VampPrior(AbstractPrior):
    r"""Mixture of the posteriors of learned pseudo-inputs :cite:p:`Tomczak18`.

    .. math:: p(u) = \frac1K \sum_k q(u \mid x_k)

    Parameters
    ----------
    n_inputs
        Number of pseudo-inputs.
    n_genes
        Number of genes.
    """

    def __init__(self, n_inputs: int, n_genes: int) -> None:
        super().__init__()
        self.inputs = PseudoInputs(n_inputs, n_genes)

    def forward(self, features: Tensor, encode: Encode) -> NormalMixture:
        """Mixture over all pseudo-inputs."""
        del features
        q = encode(self.inputs())
        return NormalMixture(q.loc, q.scale)


class PseudoInputPrior(AbstractPrior):
    r"""The posterior of the pseudo-input that a selector picks for the cell :cite:p:`Tonolini19`.

    The selector's choice is soft in training, where the KL is the mean over pseudo-inputs (an upper bound),
    and hard in evaluation. The mean inclusion probability of all pseudo-inputs is held at :math:`\alpha` by
    the cost :math:`J\, KL(\text{Bern}(\bar\gamma) \| \text{Bern}(\alpha))`, weighed in the loss like the KL.

    Parameters
    ----------
    n_inputs
        Number of pseudo-inputs.
    n_genes
        Number of genes.
    n_features
        Number of features of the encoder, which the selector reads.
    alpha
        Mean probability that a dimension is on, in (0, 1).
    """

    def __init__(self, n_inputs: int, n_genes: int, n_features: int, alpha: float) -> None:
        super().__init__()
        self.inputs = PseudoInputs(n_inputs, n_genes)
        self.selector = nn.Linear(n_features, n_inputs)
        self.alpha = alpha

    def forward(self, features: Tensor, encode: Encode) -> SelectedSpikeSlab:
        """Posterior of the selected pseudo-input of each cell."""
        scores = self.selector(features)
        if self.training:
            weights = torch.softmax(scores, dim=-1)
        else:
            weights = nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
        return SelectedSpikeSlab(weights, encode(self.inputs()))

    def cost(self, p: SelectedSpikeSlab) -> Tensor:  # type: ignore[override]
        """KL of the mean inclusion probability from alpha, times the number of dimensions."""
        gamma = p.components.inclusion
        mean = gamma.mean().clamp(SMALLEST_MEAN, 1.0 - SMALLEST_MEAN)  # at 0 or 1 the gradient is no number
        kl = torch.xlogy(mean, mean / self.alpha) + torch.xlogy(1 - mean, (1 - mean) / (1 - self.alpha))
        return gamma.shape[-1] * kl
