"""Decoders: latent (and covariates) to the heads that a likelihood asks for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.layers import MLP
from distaff.nn.readouts import Readout

__all__ = ["AbstractDecoder", "MLPDecoder"]


class AbstractDecoder(nn.Module):
    """Maps a latent to raw heads, one (..., cells, genes) tensor a name; links belong to the likelihood."""

    @abstractmethod
    def readouts(self, z: Tensor, covariates: Covariates) -> dict[str, Readout]:
        """Latent (..., cells, n_latent) to heads, in parts."""

    def forward(self, z: Tensor, covariates: Covariates) -> dict[str, Tensor]:
        """Latent (..., cells, n_latent) to heads, each (..., cells, genes)."""
        return {name: readout.dense() for name, readout in self.readouts(z, covariates).items()}


class MLPDecoder(AbstractDecoder):
    """scVI's decoder: an MLP, then one linear map a head :cite:p:`Lopez18`.

    Parameters
    ----------
    n_latent
        Number of latent dimensions.
    n_genes
        Number of genes.
    heads
        Names of the heads to build: those of the likelihood.
    widths
        Width of each hidden layer.
    spec
        Covariates that enter the hidden layers; None for none.
    """

    def __init__(
        self,
        n_latent: int,
        n_genes: int,
        heads: Sequence[str],
        *,
        widths: Sequence[int],
        spec: CovariateSpec | None = None,
    ) -> None:
        super().__init__()
        self.body = MLP(n_latent, widths, spec)
        self.heads = nn.ModuleDict({head: nn.Linear(widths[-1], n_genes) for head in heads})

    def readouts(self, z: Tensor, covariates: Covariates) -> dict[str, Readout]:
        """Latent (..., cells, n_latent) to heads."""
        h = self.body(z, covariates)
        layers: dict[str, Any] = dict(self.heads.items())
        return {head: Readout(h, linear.weight, linear.bias) for head, linear in layers.items()}
