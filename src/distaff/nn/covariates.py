"""What is known of a cell beside its counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["CovariateSpec", "Covariates"]


@dataclass(frozen=True)
class CovariateSpec:
    """Sizes of the covariates that a layer is built for.

    Parameters
    ----------
    n_batch
        Number of batches.
    n_labels
        Number of labels; labels never enter a network, only the gene-label dispersion.
    n_cats_per_cov
        Number of categories of each further categorical covariate.
    n_continuous
        Number of continuous covariates.
    """

    n_batch: int = 1
    n_labels: int = 1
    n_cats_per_cov: tuple[int, ...] = ()
    n_continuous: int = 0

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Categories of the batch and of each further categorical covariate."""
        return (self.n_batch, *self.n_cats_per_cov)


@dataclass(frozen=True)
class Covariates:
    """Covariates of a minibatch.

    Parameters
    ----------
    batch
        Batch codes, shape (cells, 1).
    labels
        Label codes, shape (cells, 1), or None.
    categorical
        Codes of further categorical covariates, shape (cells, covariates), or None.
    continuous
        Continuous covariates, shape (cells, covariates), or None.
    """

    batch: Tensor
    labels: Tensor | None = None
    categorical: Tensor | None = None
    continuous: Tensor | None = None

    def codes(self) -> list[Tensor]:
        """Codes, each of shape (cells,), in the order of :attr:`CovariateSpec.n_categories`."""
        further = [] if self.categorical is None else list(self.categorical.unbind(dim=1))
        return [code.long() for code in (self.batch.squeeze(1), *further)]

    def in_batch(self, batch: int) -> Covariates:
        """Return the same cells as if all came from one batch."""
        return replace(self, batch=torch.full_like(self.batch, batch))
