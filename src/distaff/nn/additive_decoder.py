"""Non-linear decoder that stays factor-wise: each factor has a curve of its own for every gene."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.layers import CovariateLinear, CovariateShift, join, readouts_of
from distaff.nn.readouts import Readout

__all__ = ["AdditiveDecoder"]


class AdditiveDecoder(AbstractDecoder):
    r"""Sum over factors of small networks, one a factor.

    .. math:: h = b + \sum_k V_k\, [\phi_k(z_k) - \phi_k(0)] + \text{covariates}, \quad
        \phi_k(z) = \tanh(a_k z + c_k)

    with H hidden units a factor. A factor at 0 adds nothing, so moving one factor changes expression by its
    own term alone, whatever the others are: traversals are exact and their effects add up on the log scale.

    Parameters
    ----------
    n_latent
        Number of factors.
    n_genes
        Number of genes.
    heads
        Names of the heads to build; those beside ``"scale"`` are linear maps of their own.
    n_hidden
        Number of hidden units H a factor.
    spec
        Covariates that shift the logits; None for none.
    """

    def __init__(
        self,
        n_latent: int,
        n_genes: int,
        heads: Sequence[str],
        *,
        n_hidden: int = 8,
        spec: CovariateSpec | None = None,
    ) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.randn(n_latent, n_hidden))
        self.offset = nn.Parameter(torch.randn(n_latent, n_hidden))
        self.output = nn.Linear(n_latent * n_hidden, n_genes)
        self.shift = CovariateShift(n_genes, spec, n_in=n_latent * n_hidden)
        self.heads = nn.ModuleDict(
            {head: CovariateLinear(n_latent, n_genes, spec) for head in heads if head != "scale"}
        )

    def readouts(self, z: Tensor, covariates: Covariates) -> dict[str, Readout]:
        """Latent (..., cells, n_latent) to heads, in parts."""
        design = self.shift.design(covariates)
        curves = torch.tanh(z.unsqueeze(-1) * self.slope + self.offset) - torch.tanh(self.offset)
        scale = Readout(
            join(curves.flatten(-2), design), self.shift.widen(self.output.weight), self.output.bias
        )
        return {"scale": scale} | readouts_of(self.heads, join(z, design))
