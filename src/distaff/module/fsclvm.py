"""The factorial single-cell latent variable model: Pyro program, guide, and their ELBO in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import PyroBaseModuleClass, auto_move_data
from torch import Tensor, nn

from distaff.nn.spike_slab import SpikeSlab

__all__ = ["ClosedFormELBO", "FSCLVMModule"]

TARGET_SUM = 1e4  # counts a cell after normalisation
PRIOR_SHAPE = PRIOR_RATE = 1e-3  # of the gamma priors of all precisions
NOISE_FLOOR = 1e-3  # smallest noise variance of a gene, as a share of its variance
START_SCALE = 0.02  # standard deviation of a weight before training, in standard deviations of its gene


class FSCLVMModule(PyroBaseModuleClass):
    r"""Sparse factor analysis with one factor a gene set :cite:p:`Buettner17`.

    .. math::

        y_{ng} &\sim N(b_{g} + \textstyle\sum_k x_{nk} z_{gk} w_{gk},\, \tau_g^{-1}), \quad
        x_{nk} \sim N(0, 1) \\
        z_{gk} &\sim \text{Bernoulli}(\pi_{gk}), \quad w_{gk} \sim N(0, \alpha_k^{-1}), \quad
        \alpha_k, \tau_g \sim \text{Gamma}(10^{-3}, 10^{-3})

    The guide keeps a spike and slab for each weight. Given these, its best choices for the scores (a normal
    with full covariance, the same for all cells) and for :math:`\alpha_k` are known in closed form and need
    no parameters; so is the ELBO, see :class:`ClosedFormELBO`.

    Parameters
    ----------
    prior_logits
        Logit of :math:`\pi`, shape (genes, factors).
    n_batch
        Number of batches; each has its own intercepts.
    log_normalise
        Whether the data are counts, to be log-normalised here.
    n_sets
        Number of annotated factors, which come first; None for all.
    """

    def __init__(
        self, prior_logits: Tensor, *, n_batch: int, log_normalise: bool, n_sets: int | None = None
    ) -> None:
        super().__init__()
        n_genes, n_factors = prior_logits.shape
        self.log_normalise = log_normalise
        self.n_sets = n_factors if n_sets is None else n_sets
        self.sets_only = False  # hold the other factors where they are, while gene sets take their place
        self.register_buffer("prior_logits", prior_logits)
        self.register_buffer("n_cells", torch.tensor(1.0))  # that the model is trained on
        self.register_buffer("gene_scale", torch.ones(n_genes))
        # locations and scales are in units of gene_scale: one learning rate suits all genes
        self.loc = nn.Parameter(START_SCALE * torch.randn_like(prior_logits))
        self.log_scale = nn.Parameter(torch.full_like(prior_logits, math.log(START_SCALE)))
        self.logits = nn.Parameter(prior_logits.clone())
        self.intercept = nn.Parameter(torch.zeros(n_batch, n_genes))
        self.log_noise = nn.Parameter(torch.zeros(n_genes))

    # --- data --------------------------------------------------------------------------------------

    @staticmethod
    def _get_fn_args_from_batch(
        tensor_dict: dict[str, Tensor],
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Any]]:
        batch = tensor_dict[REGISTRY_KEYS.BATCH_KEY].long().flatten()
        return (tensor_dict[REGISTRY_KEYS.X_KEY].float(), batch), {}

    def expression(self, x: Tensor) -> Tensor:
        """Log-normalised expression (cells, genes)."""
        if not self.log_normalise:
            return x
        return torch.log1p(TARGET_SUM * x / x.sum(dim=1, keepdim=True))

    def on_load(self, model: Any, **kwargs: Any) -> None:
        """Leave Pyro's global store alone: all parameters are here and come with the state dict."""

    # --- variational posterior -----------------------------------------------------------------------

    def q_weights(self) -> SpikeSlab:
        """Posterior of weights, (genes, factors)."""
        unit = self.gene_scale[:, None]
        loc: Tensor = self.loc
        if self.sets_only:
            loc = torch.cat([loc[:, : self.n_sets], loc[:, self.n_sets :].detach()], dim=1)
        return SpikeSlab(loc * unit, self.log_scale.exp() * unit, self.logits)

    def q_noise(self) -> dist.Gamma:
        """Posterior of the precision of each gene, (genes,)."""
        shape = (PRIOR_SHAPE + 0.5 * self.n_cells).expand_as(self.log_noise)
        variance = (NOISE_FLOOR + self.log_noise.exp()) * self.gene_scale.square()
        return dist.Gamma(shape, shape * variance)

    @staticmethod
    def q_ard(weights: SpikeSlab) -> dist.Gamma:
        """Best posterior of the ARD precision of each factor, given that of its weights; (factors,)."""
        gamma = weights.inclusion
        squares = gamma * (weights.loc.square() + weights.scale.square())
        return dist.Gamma(PRIOR_SHAPE + 0.5 * gamma.sum(0), PRIOR_RATE + 0.5 * squares.sum(0))

    def _score_terms(self, y: Tensor, batch: Tensor, weights: SpikeSlab, tau: Tensor) -> tuple[Tensor, ...]:
        """Centred expression (cells, genes), its projections on factors, Cholesky factor of the precision."""
        wide = torch.float32 if y.device.type == "mps" else torch.float64  # MPS has no float64
        centred = y - self.intercept[batch] * self.gene_scale
        weighted = tau[:, None] * weights.mean
        projected = (centred @ weighted).to(wide)
        precision = (weighted.T @ weights.mean).to(wide)
        precision = precision + torch.diag_embed(1.0 + tau.to(wide) @ weights.variance.to(wide))
        return centred, projected, torch.linalg.cholesky(precision)

    def q_scores(self, y: Tensor, batch: Tensor) -> dist.MultivariateNormal:
        """Best posterior of scores given that of all else; (cells,) of (factors,)."""
        _, projected, root = self._score_terms(y, batch, self.q_weights(), self.q_noise().mean)
        mean = torch.cholesky_solve(projected.T, root).T
        covariance = torch.cholesky_inverse(root)
        return dist.MultivariateNormal(mean.to(y.dtype), covariance.to(y.dtype), validate_args=False)

    @auto_move_data
    def encode(self, x: Tensor, batch: Tensor) -> Tensor:
        """Posterior mean of scores, (cells, factors)."""
        return self.q_scores(self.expression(x), batch).mean

    def score_variance(self) -> Tensor:
        """Posterior variance of each factor's scores, the same for all cells; 1 where data say nothing."""
        tau = self.q_noise().mean
        y, batch = tau.new_zeros(1, len(tau)), torch.zeros(1, dtype=torch.long, device=tau.device)
        _, _, root = self._score_terms(y, batch, self.q_weights(), tau)
        return torch.cholesky_inverse(root).diagonal().to(tau.dtype)

    # --- Pyro programs ---------------------------------------------------------------------------------

    def model(self, x: Tensor, batch: Tensor) -> None:
        """Draw everything from the prior, and observe a minibatch."""
        y, prior = self.expression(x), self.prior_logits
        gamma_prior = dist.Gamma(torch.full_like(prior[0], PRIOR_SHAPE), PRIOR_RATE)
        alpha = pyro.sample("alpha", gamma_prior.to_event(1))
        tau = pyro.sample("tau", dist.Gamma(torch.full_like(y[0], PRIOR_SHAPE), PRIOR_RATE).to_event(1))
        z = pyro.sample("z", dist.Bernoulli(logits=prior).to_event(2))
        w = pyro.sample("w", dist.Normal(0.0, alpha.rsqrt().expand_as(prior)).to_event(2))
        with pyro.plate("cells", len(y)), pyro.poutine.scale(scale=self.n_cells / len(y)):
            scores = pyro.sample("x", dist.Normal(y.new_zeros(prior.shape[1]), 1.0).to_event(1))
            mean = self.intercept[batch] * self.gene_scale + scores @ (z * w).T
            pyro.sample("y", dist.Normal(mean, tau.rsqrt()).to_event(1), obs=y)

    def guide(self, x: Tensor, batch: Tensor) -> None:
        """Draw everything from the variational posterior; a weight that is off keeps its prior."""
        y, weights = self.expression(x), self.q_weights()
        alpha = pyro.sample("alpha", self.q_ard(weights).to_event(1))
        pyro.sample("tau", self.q_noise().to_event(1))
        z = pyro.sample("z", dist.Bernoulli(logits=weights.logits).to_event(2))
        scale = torch.where(z == 1, weights.scale, alpha.rsqrt())
        pyro.sample("w", dist.Normal(z * weights.loc, scale).to_event(2))
        with pyro.plate("cells", len(y)), pyro.poutine.scale(scale=self.n_cells / len(y)):
            pyro.sample("x", self.q_scores(y, batch))

    # --- objective -------------------------------------------------------------------------------------

    def elbo(self, x: Tensor, batch: Tensor) -> Tensor:
        """Exact expectation of Pyro's ELBO of :meth:`model` and :meth:`guide`, in nats."""
        weights, noise = self.q_weights(), self.q_noise()
        local = self._local(self.expression(x), batch, weights, noise).mean()
        noise_prior = dist.Gamma(torch.full_like(noise.rate, PRIOR_SHAPE), PRIOR_RATE)
        noise_kl = torch.distributions.kl_divergence(noise, noise_prior).sum()
        return self.n_cells * local - noise_kl - self._weights_kl(weights)

    def _local(self, y: Tensor, batch: Tensor, weights: SpikeSlab, noise: dist.Gamma) -> Tensor:
        """Expected log likelihood minus KL of the scores at their optimum, (cells,)."""
        tau = noise.mean
        centred, projected, root = self._score_terms(y, batch, weights, tau)
        explained = torch.linalg.solve_triangular(root, projected.T, upper=False).square().sum(0)
        log_determinant = 2.0 * root.diagonal().log().sum()
        log_tau = _expected_log(noise).sum() - len(tau) * math.log(2.0 * math.pi)
        total = log_tau - (tau * centred.square()).sum(1)
        return 0.5 * (total + (explained - log_determinant).to(total.dtype))

    def _weights_kl(self, weights: SpikeSlab) -> Tensor:
        """KL of indicators, weights and ARD precisions."""
        ard, gamma = self.q_ard(weights), weights.inclusion
        squares = weights.loc.square() + weights.scale.square()
        slab = 0.5 * (ard.mean * squares - 1.0 - 2.0 * weights.scale.log() - _expected_log(ard))
        log_sigmoid = nn.functional.logsigmoid
        on = log_sigmoid(weights.logits) - log_sigmoid(self.prior_logits)
        off = log_sigmoid(-weights.logits) - log_sigmoid(-self.prior_logits)
        ard_prior = dist.Gamma(torch.full_like(ard.rate, PRIOR_SHAPE), PRIOR_RATE)
        ard_kl = torch.distributions.kl_divergence(ard, ard_prior)
        return (gamma * (slab + on) + (1.0 - gamma) * off).sum() + ard_kl.sum()


class ClosedFormELBO(pyro.infer.Trace_ELBO):
    """Negative ELBO a cell of an :class:`FSCLVMModule`, with every expectation in closed form.

    ``loss`` stays Pyro's Monte Carlo estimate, of all cells together.

    Parameters
    ----------
    module
        Module whose model and guide are compared.
    """

    def __init__(self, module: FSCLVMModule) -> None:
        super().__init__()
        self.module = module

    def differentiable_loss(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> Tensor:
        """Loss of a minibatch, in nats a cell."""
        del model, guide
        return -self.module.elbo(*args, **kwargs) / self.module.n_cells


def _expected_log(q: dist.Gamma) -> Tensor:
    return torch.digamma(q.concentration) - q.rate.log()
