"""Linear decoder whose factors are gene sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.layers import CovariateLinear, CovariateShift
from distaff.nn.linear_decoder import AbstractRate, LogLinearRate, Weights

__all__ = ["AnnotatedDecoder", "Proximal"]


@dataclass(frozen=True)
class Proximal:
    r"""A weight that a proximal step keeps sparse.

    Parameters
    ----------
    weight
        Parameter (genes, factors).
    l1
        Strength of the L1 penalty of each entry, shape (genes, factors).
    group
        Strength of the group lasso of each column, shape (factors,).
    in_metric
        Step in the metric of the optimiser; else in the Euclidean one, whatever the optimiser is.
    """

    weight: nn.Parameter
    l1: Tensor
    group: Tensor
    in_metric: bool = True


class AnnotatedDecoder(AbstractDecoder):
    r"""Factors annotated with gene sets, then sparse, then dense ones :cite:p:`Rybakov20`.

    .. math:: h = z W^\top + \text{covariates} + b

    There is no batch norm: a scale that follows :math:`W` would undo every penalty on it.

    Parameters
    ----------
    mask
        Gene sets, shape (genes, sets); non-zero where a gene is in the set.
    heads
        Names of the heads to build; those beside ``"scale"`` are linear maps of their own.
    n_sparse
        Number of further factors without annotation, under an L1 penalty.
    n_dense
        Number of further factors without annotation or L1 penalty.
    hard
        Keep weights outside the set at zero; else the L1 penalty does.
    off_mask
        Strength of the L1 penalty outside the set (lambda_1 of the paper).
    sparse
        Strength of the L1 penalty of sparse factors (lambda_2).
    group
        Strength of the group lasso of annotated factors (lambda_3).
    in_metric
        Take proximal steps in the metric of the optimiser; else in the Euclidean one, as the paper does.
    non_negative
        Keep loadings from being negative; only with a hard mask and no penalty, whose zeros softplus
        cannot reach.
    rate
        How the sum over factors becomes logits.
    spec
        Covariates that shift the logits; None for none.
    """

    mask: Tensor
    l1: Tensor
    group: Tensor

    def __init__(
        self,
        mask: Tensor,
        heads: Sequence[str],
        *,
        n_sparse: int = 0,
        n_dense: int = 0,
        hard: bool = False,
        off_mask: float = 0.0,
        sparse: float = 0.0,
        group: float = 0.0,
        in_metric: bool = True,
        non_negative: bool = False,
        rate: AbstractRate | None = None,
        spec: CovariateSpec | None = None,
    ) -> None:
        super().__init__()
        n_genes, n_sets = mask.shape
        n_factors = n_sets + n_sparse + n_dense
        inside = (mask != 0).float()
        free = torch.ones(n_genes, n_sparse + n_dense)
        self.hard = hard
        self.in_metric = in_metric
        self.rate = rate or LogLinearRate()
        self.weights = Weights(n_genes, n_factors, non_negative=non_negative)
        self.bias = nn.Parameter(torch.zeros(n_genes))
        self.shift = CovariateShift(n_genes, spec, n_in=n_factors)
        self.heads = nn.ModuleDict(
            {head: CovariateLinear(n_factors, n_genes, spec) for head in heads if head != "scale"}
        )
        columns = [(1 - inside) * off_mask, free[:, :n_sparse] * sparse, free[:, n_sparse:] * 0.0]
        self.register_buffer("mask", torch.cat([inside, free], dim=1), persistent=False)
        self.register_buffer("l1", torch.cat(columns, dim=1), persistent=False)
        strength = torch.cat([torch.full((n_sets,), float(group)), torch.zeros(n_sparse + n_dense)])
        self.register_buffer("group", strength, persistent=False)
        with torch.no_grad():  # a set starts as its genes alone
            if not non_negative:
                self.weights.raw.mul_(self.mask)

    def forward(self, z: Tensor, covariates: Covariates) -> dict[str, Tensor]:
        """Latent (..., cells, factors) to heads, each (..., cells, genes)."""
        logits = self.shift(self.rate(z @ self.effective_weights().T) + self.bias, covariates)
        return {"scale": logits} | {name: head(z, covariates) for name, head in self.heads.items()}

    def effective_weights(self) -> Tensor:
        """Weights (genes, factors) as they are applied: zero outside a hard mask."""
        return self.weights() * self.mask if self.hard else self.weights()

    @torch.no_grad()
    def loadings(self) -> Tensor:
        """Loadings (genes, factors), with exact zeros."""
        return self.effective_weights().clone()

    def proximal(self) -> list[Proximal]:
        """Weights under a proximal step; none where nothing is penalised."""
        l1 = self.l1 * self.mask if self.hard else self.l1  # a hard mask has no weights outside
        if not bool(l1.any()) and not bool(self.group.any()):
            return []
        return [Proximal(self.weights.raw, l1, self.group, self.in_metric)]
