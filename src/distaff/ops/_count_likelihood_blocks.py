"""Count likelihood of a linear decoder by blocks of cells that stay in the cache, with its gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distaff.ops._count_likelihood_inputs import Family, Inputs
from distaff.ops._csr import CSR
from distaff.ops._nb_kernels import EPS, nb_rows
from distaff.ops._poisson_kernels import poisson_rows
from distaff.ops._row_kernels import CHUNK, additive_exp, softmax_exp
from distaff.ops._zinb_kernels import zinb_rows

__all__ = ["Fixed", "block_log_likelihood"]

BLOCK_BYTES = 512 * 1024  # of one buffer of cells x genes: half of a common second-level cache
FLUSH_CELLS = 64  # whose derivatives by theta are added up in float32


class Fixed(NamedTuple):
    """What has no gradient."""

    counts: CSR
    family: Family
    codes: np.ndarray  # int32 (cells,), row of theta
    design: Tensor | None  # (cells, covariates)
    floor: float | None


def block_log_likelihood(inputs: Inputs, fixed: Fixed) -> Tensor:
    """Log-likelihood (cells,) in nats; gradients are computed along with it only where they are wanted."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        return _CountLikelihood.apply(fixed, *inputs)
    return _Blocks(inputs, fixed).run(None)


class _CountLikelihood(torch.autograd.Function):
    """Gradients are made in the forward pass, while a block is in the cache, for equal weights of all cells.

    The loss is nearly always a mean over cells: then they only need to be scaled. Else they are made anew.
    """

    @staticmethod
    def forward(ctx: Any, fixed: Fixed, *tensors: Any) -> Tensor:
        inputs = Inputs(*(None if t is None else t.detach() for t in tensors))  # type: ignore[arg-type]
        blocks = _Blocks(inputs, fixed)
        value = blocks.run(torch.ones(len(inputs.features)))
        ctx.save_for_backward(*inputs)
        ctx.fixed, ctx.gradients = fixed, blocks.gradients()
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        if len(weights) and bool((weights == weights[0]).all()):
            gradients = [None if g is None else weights[0] * g for g in ctx.gradients]
        else:
            blocks = _Blocks(Inputs(*ctx.saved_tensors), ctx.fixed)
            blocks.run(weights.contiguous())
            gradients = list(blocks.gradients())
        wanted = ctx.needs_input_grad[1:]
        return None, *(g if want else None for g, want in zip(gradients, wanted, strict=True))


class _Linear:
    """``features @ weight' + bias`` by blocks, and its gradients; the bias is one more feature."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self.has_bias = bias is not None
        self.features, self.weight = features.contiguous(), weight.contiguous()
        if bias is not None:
            self.features = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
            self.weight = torch.cat([weight, bias.unsqueeze(1)], dim=1)
        self.d_features = torch.zeros_like(self.features)
        self.d_weight = torch.zeros_like(self.weight)
        self.d_bias = torch.zeros(len(weight), dtype=torch.float64)  # a plain sum of many small terms

    def forward(self, cells: slice, out: Tensor) -> None:
        torch.mm(self.features[cells], self.weight.t(), out=out)

    def backward(self, cells: slice, gradient: Tensor) -> None:
        torch.mm(gradient, self.weight, out=self.d_features[cells])
        self.d_weight.addmm_(gradient.t(), self.features[cells])
        if self.has_bias:
            self.d_bias += gradient.sum(dim=0)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor | None]:
        if not self.has_bias:
            return self.d_features, self.d_weight, None
        return self.d_features[:, :-1], self.d_weight[:, :-1], self.d_bias.float()


class _Blocks:
    """One pass over the cells; a block's logits, terms and derivatives share one buffer."""

    def __init__(self, inputs: Inputs, fixed: Fixed) -> None:
        self.inputs, self.fixed = inputs, fixed
        self.n_cells, self.n_genes = len(inputs.features), len(inputs.weight)
        self.n_rows = max(1, min(self.n_cells, BLOCK_BYTES // (4 * self.n_genes)))
        self.scale = _Linear(inputs.features, inputs.weight, inputs.bias)
        self.dropout = None
        if inputs.dropout_weight is not None:
            self.dropout = _Linear(inputs.features, inputs.dropout_weight, inputs.dropout_bias)
        n_counts = int(np.diff(fixed.counts.indptr).max(initial=0))
        by_mean, work = np.empty(self.n_genes, np.float32), np.empty((7, n_counts), np.float32)
        self.scratch = by_mean, work, np.empty((3, n_counts)), np.empty(n_counts, np.int32)
        self.log_size = inputs.log_size.reshape(-1).contiguous().numpy()
        self.d_size = torch.zeros(self.n_cells)
        self.d_table = None if inputs.table is None else torch.zeros_like(inputs.table)
        self.theta = self.inverse = np.empty((0, 0), np.float32)
        if inputs.theta is not None:
            self.theta = inputs.theta.contiguous().numpy()
            self.inverse = 1.0 / (self.theta + np.float32(EPS))
        self.d_theta = torch.zeros(self.theta.shape, dtype=torch.float64)
        self.part_of_d_theta = torch.zeros(self.theta.shape)  # of some cells, exact enough for these

    def run(self, weights: Tensor | None) -> Tensor:
        """Log-likelihood (cells,); the gradients of its sum with ``weights`` unless these are None."""
        value = torch.empty(self.n_cells)
        buffers = [torch.empty(self.n_rows, self.n_genes) for _ in range(3)]
        flushed = 0
        for start in range(0, self.n_cells, self.n_rows):
            cells = slice(start, min(start + self.n_rows, self.n_cells))
            logits, slope, dropout = (b[: cells.stop - start] for b in buffers)
            total = self._exponentials(cells, logits, slope)
            if self.dropout is not None:
                self.dropout.forward(cells, dropout)
            self._terms(cells, (logits, dropout), total, weights, value)
            if weights is None:
                continue
            self._backward(cells, logits, slope, dropout)
            if cells.stop - flushed >= FLUSH_CELLS or cells.stop == self.n_cells:
                self.d_theta += self.part_of_d_theta
                self.part_of_d_theta.zero_()
                flushed = cells.stop
        return value

    def _exponentials(self, cells: slice, logits: Tensor, slope: Tensor) -> np.ndarray:
        """Fill ``logits`` with their exponentials, up to a factor for each cell; their sums (cells,)."""
        total = np.empty(len(logits))
        self.scale.forward(cells, logits)
        if self.fixed.floor is None:
            softmax_exp(logits.numpy(), total)
            return total
        if self.fixed.design is None or self.inputs.table is None:
            slope.zero_()
        else:
            torch.mm(self.fixed.design[cells], self.inputs.table, out=slope)
        additive_exp(logits.numpy(), slope.numpy(), self.fixed.floor, total)
        return total

    def _terms(
        self,
        cells: slice,
        buffers: tuple[Tensor, Tensor],
        total: np.ndarray,
        weights: Tensor | None,
        value: Tensor,
    ) -> None:
        """Run the family's kernel, which turns the buffers into derivatives."""
        counts, family = self.fixed.counts, self.fixed.family
        rows = counts.indptr[cells.start : cells.stop + 1], counts.indices, counts.values
        head = buffers[0].numpy(), total, *rows, self.log_size[cells]
        groups = self.theta, self.inverse, self.fixed.codes[cells]
        d_size = self.d_size[cells].numpy()
        weight = (d_size if weights is None else weights[cells].numpy()), weights is not None
        tail = *self.scratch, value[cells].numpy(), d_size
        if family == "poisson":
            by_mean, work, *_ = self.scratch
            poisson_rows(*head, *weight, by_mean, work, *tail[-2:])
        elif family == "nb":
            nb_rows(*head, *groups, *weight, *tail, self.part_of_d_theta.numpy())
        else:
            chunks = np.empty((2, CHUNK), np.float32)
            zinb_rows(
                *head, *groups, *weight, *tail, self.part_of_d_theta.numpy(), buffers[1].numpy(), *chunks
            )

    def _backward(self, cells: slice, logits: Tensor, slope: Tensor, dropout: Tensor) -> None:
        if self.d_table is not None and self.fixed.design is not None:
            self.d_table.addmm_(self.fixed.design[cells].t(), logits)
        if self.fixed.floor is not None:
            logits.mul_(slope)
        self.scale.backward(cells, logits)
        if self.dropout is not None:
            self.dropout.backward(cells, dropout)

    def gradients(self) -> Inputs:
        """Gradients of what ``run`` has seen."""
        d_features, d_weight, d_bias = self.scale.gradients()
        d_dropout, d_dropout_bias = None, None
        if self.dropout is not None:
            from_dropout, d_dropout, d_dropout_bias = self.dropout.gradients()
            d_features = d_features + from_dropout
        d_theta = None if self.inputs.theta is None else self.d_theta.float()
        d_size = self.d_size.unsqueeze(1)
        return Inputs(d_features, d_weight, d_bias, d_size, d_theta, d_dropout, d_dropout_bias, self.d_table)
