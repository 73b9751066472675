"""Linear decoders: each factor has one loading a gene."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.layers import BatchNorm, CovariateLinear, CovariateShift, join, readouts_of
from distaff.nn.readouts import AbstractRate, LogLinearRate, Readout

__all__ = ["LinearDecoder", "Weights"]

INITIAL_WEIGHT = 0.1  # non-negative loadings start near it: small, but not in the flat tail of softplus


class Weights(nn.Module):
    r"""Loadings W (genes, factors), free or :math:`W = \text{softplus}(\tilde W) \ge 0`.

    Parameters
    ----------
    n_genes
        Number of genes.
    n_factors
        Number of factors.
    non_negative
        Whether loadings are kept from being negative.
    """

    def __init__(self, n_genes: int, n_factors: int, *, non_negative: bool = False) -> None:
        super().__init__()
        self.non_negative = non_negative
        bound = n_factors**-0.5
        weight = torch.empty(n_genes, n_factors).uniform_(-bound, bound)
        if non_negative:
            weight = _inverse_softplus(INITIAL_WEIGHT * torch.rand(n_genes, n_factors) + INITIAL_WEIGHT / 2)
        self.raw = nn.Parameter(weight.T.contiguous().T)  # the loadings of a factor side by side

    def forward(self) -> Tensor:
        """Loadings (genes, factors)."""
        return nn.functional.softplus(self.raw) if self.non_negative else self.raw

    @torch.no_grad()
    def set(self, loadings: Tensor) -> None:
        """Give the loadings values; for non-negative ones, the nearest that softplus reaches."""
        self.raw.copy_(_inverse_softplus(loadings) if self.non_negative else loadings)


def _inverse_softplus(y: Tensor) -> Tensor:
    y = y.clamp(min=1e-4)  # below it the gradient of softplus is too flat to come back
    return y + torch.log(-torch.expm1(-y))


class LinearDecoder(AbstractDecoder):
    r"""Linear map to the logits of expression :cite:p:`Svensson20`.

    .. math:: h = \text{BN}(\text{rate}(z W^\top) + \text{covariates})

    Parameters
    ----------
    n_latent
        Number of factors.
    n_genes
        Number of genes.
    heads
        Names of the heads to build; those beside ``"scale"`` are linear maps of their own.
    batch_norm
        Normalise the logits of each gene over the minibatch.
    non_negative
        Keep loadings from being negative.
    rate
        How the sum over factors becomes logits.
    spec
        Covariates that shift the logits; None for none.
    """

    def __init__(
        self,
        n_latent: int,
        n_genes: int,
        heads: Sequence[str],
        *,
        batch_norm: bool = False,
        non_negative: bool = False,
        rate: AbstractRate | None = None,
        spec: CovariateSpec | None = None,
    ) -> None:
        super().__init__()
        self.weights = Weights(n_genes, n_latent, non_negative=non_negative)
        self.rate = rate or LogLinearRate()
        self.shift = CovariateShift(n_genes, spec, n_in=n_latent)
        self.norm = BatchNorm(n_genes) if batch_norm else None
        self.heads = nn.ModuleDict(
            {head: CovariateLinear(n_latent, n_genes, spec) for head in heads if head != "scale"}
        )

    def readouts(self, z: Tensor, covariates: Covariates) -> dict[str, Readout]:
        """Latent (..., cells, factors) to heads, in parts."""
        design = self.shift.design(covariates)
        features = join(z, design)
        return {"scale": self._scale(z, features, design)} | readouts_of(self.heads, features)

    def _scale(self, z: Tensor, features: Tensor, design: Tensor | None) -> Readout:
        if self.rate.floor is not None:
            table = self.shift.table()
            offset = None if design is None or table is None else (design, table)
            return Readout(z, self.weights(), rate=self.rate, offset=offset, norm=self.norm)
        weight = self.shift.widen(self.weights())
        return Readout(features, *((weight,) if self.norm is None else self.norm.folded(features, weight)))

    def effective_weights(self) -> Tensor:
        """Weights (genes, factors) as they are applied, before any batch norm."""
        return self.weights()

    @torch.no_grad()
    def loadings(self) -> Tensor:
        """Loadings (genes, factors) as evaluation applies them: with the batch norm folded in."""
        weights = self.weights().clone()
        return weights if self.norm is None else self.norm.evaluation_scale().unsqueeze(1) * weights
