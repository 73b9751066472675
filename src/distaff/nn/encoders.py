"""Encoders: counts (and covariates) to features from which a posterior is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.layers import MLP
from distaff.ops import is_csr32, log1p

__all__ = ["Log1p", "MLPEncoder"]


class Log1p(nn.Module):
    """``log(1 + x)``: how counts enter an encoder, for numerical stability only."""

    def forward(self, x: Tensor) -> Tensor:
        """Transform counts of any shape, dense or sparse."""
        return log1p(x)


class MLPEncoder(nn.Module):
    """scVI's encoder: an MLP on transformed expression :cite:p:`Lopez18`.

    Parameters
    ----------
    n_genes
        Number of genes.
    widths
        Width of each layer; the last is that of the output.
    transform
        Applied to the expression first: :class:`Log1p` for counts, ``nn.Identity`` for real values.
    spec
        Covariates that enter the layers; None for none.
    dropout_rate
        Share of units dropped in training.
    """

    folded: Callable[[Tensor, Covariates], Tensor] | None = None  # how it reads sparse counts meanwhile

    def __init__(
        self,
        n_genes: int,
        widths: Sequence[int],
        *,
        transform: nn.Module,
        spec: CovariateSpec | None = None,
        dropout_rate: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_out = widths[-1]
        self.transform = transform
        self.body = MLP(n_genes, widths, spec, dropout_rate=dropout_rate)
        first: nn.Parameter = self.body.get_parameter("linears.0.linear.weight")
        first.data = first.data.T.contiguous().T  # the weights of a gene side by side, for sparse counts

    def forward(self, x: Tensor, covariates: Covariates) -> Tensor:
        """Map expression (cells, genes), dense or sparse CSR, to features (cells, n_out)."""
        if self.folded is not None and is_csr32(x):
            return self.folded(x, covariates)
        return self.body(self.transform(x), covariates)
