"""Linear decoder whose factors are gene sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distaff.nn.added import Added
from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.layers import CovariateLinear, CovariateShift, join, readouts_of
from distaff.nn.linear_decoder import Weights
from distaff.nn.readouts import AbstractRate, LogLinearRate, Readout
from distaff.nn.terms import Terms

__all__ = ["AnnotatedDecoder", "Proximal"]

ADDED_WEIGHT = 0.1  # loadings of a query's terms start within it: the reconstruction is nearly that before


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

    The terms that a query adds come last, in the same order. Heads beside ``"scale"`` do not read them.

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
        cannot reach. Those of added terms may be.
    rate
        How the sum over factors becomes logits.
    spec
        Covariates that shift the logits; None for none.
    added
        Terms that each query added, with the same penalties.
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
        added: Sequence[Terms] = (),
    ) -> None:
        super().__init__()
        known = Terms(mask, n_sparse, n_dense)
        self.terms = [known, *added]
        n_genes, n_factors = len(mask), known.n_factors
        self.hard = hard
        self.in_metric = in_metric
        self.rate = rate or LogLinearRate()
        self.weights = Weights(n_genes, n_factors, non_negative=non_negative)
        self.bias = nn.Parameter(torch.zeros(n_genes))
        self.shift = CovariateShift(n_genes, spec, n_in=n_factors)
        self.heads = nn.ModuleDict(
            {head: CovariateLinear(n_factors, n_genes, spec) for head in heads if head != "scale"}
        )
        self.added = Added(_start(terms) for terms in added)
        inside = [block.inside() for block in self.terms]
        l1 = [block.l1(off_mask, sparse) for block in self.terms]
        if hard:  # no weights outside
            l1 = [strength * within for strength, within in zip(l1, inside, strict=True)]
        self.has_l1 = [bool(strength.any()) for strength in l1]
        for name, blocks in {"mask": inside, "l1": l1}.items():
            by_factor = torch.cat([block.T for block in blocks])  # as the weights lie
            self.register_buffer(name, by_factor.T, persistent=False)
        strengths = torch.cat([block.group(group) for block in self.terms])
        self.register_buffer("group", strengths, persistent=False)
        with torch.no_grad():  # a set starts as its genes alone
            if not non_negative:
                self.weights.raw.mul_(known.inside())

    @torch.no_grad()
    def draw_added(self) -> None:
        """Draw the start of the terms of this query anew."""
        for block in self.added.query_parameters():
            block.copy_(_start(self.terms[-1]))

    def readouts(self, z: Tensor, covariates: Covariates) -> dict[str, Readout]:
        """Latent (..., cells, factors) to heads, in parts."""
        design = self.shift.design(covariates)
        features = join(z, design)
        known = join(z[..., : self.terms[0].n_factors], design) if len(self.terms) > 1 else features
        return {"scale": self._scale(z, features, design)} | readouts_of(self.heads, known)

    def _scale(self, z: Tensor, features: Tensor, design: Tensor | None) -> Readout:
        weight = self.effective_weights()
        if self.rate.floor is None:
            return Readout(features, self.shift.widen(weight), self.bias)
        ones, bias = z.new_ones(z.shape[-2], 1), self.bias.unsqueeze(0)
        table = self.shift.table()
        offset = join(ones, design), bias if table is None else torch.cat([bias, table])
        return Readout(z, weight, rate=self.rate, offset=offset)

    def effective_weights(self) -> Tensor:
        """Weights (genes, factors) as they are applied: zero outside a hard mask."""
        blocks = [self.weights(), *self.added]
        weights = torch.cat(blocks, dim=1) if len(blocks) > 1 else blocks[0]
        return weights * self.mask if self.hard else weights

    @torch.no_grad()
    def loadings(self) -> Tensor:
        """Loadings (genes, factors), with exact zeros."""
        return self.effective_weights().clone()

    def proximal(self) -> list[Proximal]:
        """Weights under a proximal step; none where nothing is penalised."""
        sizes = [terms.n_factors for terms in self.terms]
        blocks = zip(
            self.has_l1,
            [self.weights.raw, *self.added],
            self.l1.split(sizes, 1),
            self.group.split(sizes),
            strict=True,
        )
        return [
            Proximal(weight, l1, group, self.in_metric)
            for has_l1, weight, l1, group in blocks
            if has_l1 or group.device.type != "cpu" or bool(group.any())  # a GPU would have to be waited for
        ]


def _start(terms: Terms) -> Tensor:
    """Small loadings (genes, factors): of sets their genes alone, all of the same sign."""
    weights = ADDED_WEIGHT * (2 * torch.rand(len(terms.mask), terms.n_factors) - 1)
    n_sets = terms.mask.shape[1]
    weights[:, :n_sets] = ADDED_WEIGHT * (terms.mask != 0)
    return weights
