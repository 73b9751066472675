"""Library size of a cell: observed, learned, or given."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from distaff.nn.covariates import Covariates
from distaff.nn.encoders import MLPEncoder
from distaff.nn.links import Identity
from distaff.nn.posteriors import NormalPosterior
from distaff.nn.tables import Extendable
from distaff.ops import row_sums

__all__ = ["AbstractLibrary", "FixedLibrary", "LearnedLibrary", "ObservedLibrary"]


class AbstractLibrary(nn.Module):
    """Posterior and prior of the log library size; None where it is not a random variable."""

    @abstractmethod
    def forward(self, x: Tensor, covariates: Covariates) -> tuple[Tensor, Distribution | None]:
        """Log library size (cells, 1), its mean where it is a random variable, and its posterior."""

    @abstractmethod
    def prior(self, covariates: Covariates) -> Distribution | None:
        """Prior of the log library size, batch shape (cells, 1)."""


class ObservedLibrary(AbstractLibrary):
    """Total count of the cell."""

    def forward(self, x: Tensor, covariates: Covariates) -> tuple[Tensor, None]:
        """Log total (cells, 1); no posterior."""
        del covariates
        return row_sums(x).log(), None

    def prior(self, covariates: Covariates) -> None:
        """None: the library size is observed."""
        del covariates


class FixedLibrary(AbstractLibrary):
    """Library size 1: for likelihoods of real-valued expression, which have no depth."""

    def forward(self, x: Tensor, covariates: Covariates) -> tuple[Tensor, None]:
        """Zeros (cells, 1); no posterior."""
        del covariates
        return torch.zeros(len(x), 1, device=x.device), None

    def prior(self, covariates: Covariates) -> None:
        """None: the library size is fixed."""
        del covariates


class LearnedLibrary(AbstractLibrary, Extendable):
    r"""Latent library size, :math:`\log \ell \sim N(m_b, s_b^2)` with the batch's own mean and variance.

    Parameters
    ----------
    encoder
        Network that reads the expression.
    log_means
        Mean of the log library size in each batch, shape (batches,).
    log_variances
        Variance of the log library size in each batch, shape (batches,), all positive.
    """

    log_means: Tensor
    log_variances: Tensor

    def __init__(self, encoder: MLPEncoder, log_means: Tensor, log_variances: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.posterior = NormalPosterior(encoder.n_out, 1, Identity())
        self.register_buffer("log_means", log_means.float())
        self.register_buffer("log_variances", log_variances.float())

    def extend(self, reference: LearnedLibrary) -> None:
        """Take the moments of the batches of a reference; those of new ones are its own."""
        n_known = len(reference.log_means)
        self.log_means[:n_known] = reference.log_means
        self.log_variances[:n_known] = reference.log_variances

    def forward(self, x: Tensor, covariates: Covariates) -> tuple[Tensor, Normal]:
        """Posterior mean (cells, 1), and the posterior."""
        q = self.posterior(self.encoder(x, covariates))
        return q.mean, q

    def prior(self, covariates: Covariates) -> Normal:
        """Prior of the cell's batch."""
        batch = covariates.batch.squeeze(1).long()
        mean, variance = self.log_means[batch], self.log_variances[batch]
        return Normal(mean.unsqueeze(1), torch.sqrt(variance).unsqueeze(1), validate_args=False)
