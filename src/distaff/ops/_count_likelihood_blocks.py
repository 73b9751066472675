"""Count likelihood of a linear decoder by blocks of cells that stay in the cache, with its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distaff.ops._count_likelihood_inputs import Fixed, Gradients, Inputs
from distaff.ops._few_factors import FewFactors
from distaff.ops.kernels.nb import EPS, nb_rows
from distaff.ops.kernels.poisson import poisson_rows
from distaff.ops.kernels.rows import CHUNK
from distaff.ops.kernels.zinb import zinb_rows
from distaff.ops.sparse_affine import SparseAffine, few_nonzeros

__all__ = ["block_log_likelihood", "one_pass"]

BLOCK_BYTES = 1024 * 1024  # of one buffer of cells x genes: as a second-level cache holds
FACTOR_ROWS, MOST_ROWS = 2, 128  # cells of a block for each factor of a decoder
FLUSH_CELLS = 64  # whose derivatives by theta and biases are added up in float32
NO_THETA = NO_SLOPE = np.empty((0, 0), np.float32)


def block_log_likelihood(inputs: Inputs, fixed: Fixed) -> Tensor:
    """Log-likelihood (cells,) in nats; gradients are computed along with it only where they are wanted."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        return _CountLikelihood.apply(fixed, *inputs)
    return torch.from_numpy(one_pass(inputs, fixed).run(None))


def one_pass(
    inputs: Inputs,
    fixed: Fixed,
    scale: SparseAffine | None = None,
    before: Blocks | FewFactors | None = None,
) -> Blocks | FewFactors:
    """Return the pass over the cells that is fastest; :class:`Blocks` tells what it takes."""
    if scale is None and FewFactors.serves(inputs, fixed):
        return FewFactors(inputs, fixed)
    return Blocks(inputs, fixed, scale, before if isinstance(before, Blocks) else None)


class _CountLikelihood(torch.autograd.Function):
    """Gradients are made in the forward pass, while a block is in the cache, for equal weights of all cells.

    The loss is nearly always minus the mean over cells: then they are what is asked for. With another weight
    they only need to be scaled; with unequal weights they are made anew.
    """

    @staticmethod
    def forward(ctx: Any, fixed: Fixed, *tensors: Any) -> Tensor:
        inputs = Inputs(*tensors)
        blocks = one_pass(inputs, fixed)
        ctx.weight = -np.float32(1.0) / np.float32(max(blocks.n_cells, 1))
        value = blocks.run(np.full(blocks.n_cells, ctx.weight, np.float32))
        ctx.save_for_backward(*inputs)
        ctx.fixed, ctx.gradients = fixed, blocks.gradients()
        return torch.from_numpy(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        wanted, w = ctx.needs_input_grad[1:], weights.contiguous().numpy()
        gradients: Sequence[Tensor | None] = ctx.gradients
        if w.size and (w == w[0]).all():
            factor = float(w[0] / ctx.weight)
            if factor != 1.0:
                gradients = [None if g is None else factor * g for g in gradients]
        else:
            blocks = one_pass(Inputs(*ctx.saved_tensors), ctx.fixed)
            blocks.run(w)
            gradients = blocks.gradients()
        return None, *(g if want else None for g, want in zip(gradients, wanted, strict=True))


class _Linear:
    """``features @ weight' + bias`` by blocks, and its gradients.

    The weights (genes, factors) may lie gene by gene or factor by factor; so does their gradient.
    """

    def __init__(
        self, features: Tensor, weight: Tensor, bias: Tensor | None, before: _Linear | None = None
    ) -> None:
        self.features, self.bias = features.detach().contiguous(), None if bias is None else bias.detach()
        self.weight = weight.detach() if weight.is_contiguous() else weight.detach().t().contiguous().t()
        self.d_features = torch.empty_like(self.features)
        taken = before is not None and before.weight.stride() == self.weight.stride() and len(features) > 0
        fresh = torch.empty_like if len(features) else torch.zeros_like
        self.d_weight: Tensor = before.d_weight if before is not None and taken else fresh(self.weight)

    def forward(self, cells: slice, out: Tensor) -> None:
        if self.bias is None:
            torch.mm(self.features[cells], self.weight.t(), out=out)
        else:
            torch.addmm(self.bias, self.features[cells], self.weight.t(), out=out)

    def backward(self, cells: slice, gradient: Tensor) -> None:
        torch.mm(gradient, self.weight, out=self.d_features[cells])
        beta = 0.0 if cells.start == 0 else 1.0
        if self.weight.is_contiguous():
            self.d_weight.addmm_(gradient.t(), self.features[cells], beta=beta)
        else:
            self.d_weight.t().addmm_(self.features[cells].t(), gradient, beta=beta)

    def gradients(self) -> tuple[Tensor, Tensor]:
        return self.d_features, self.d_weight


def _affine(inputs: Inputs, before: _Linear | SparseAffine | None) -> _Linear | SparseAffine:
    features, weight, bias = inputs.features, inputs.weight, inputs.bias
    pattern = few_nonzeros(weight.t()) if weight.t().is_contiguous() else None
    if pattern is None:
        return _Linear(features, weight, bias, before if isinstance(before, _Linear) else None)
    values = weight.detach().t().numpy().reshape(-1)[pattern.positions]
    return SparseAffine(features, values, bias, pattern, everywhere=True)


class _ManyTerms:
    """Derivatives that many cells add to: some cells in float32, then these sums in float64."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total, self.part = np.zeros(shape), np.zeros(shape, np.float32)

    def flush(self) -> None:
        self.total += self.part
        self.part[:] = 0.0

    def tensor(self) -> Tensor:
        return torch.from_numpy(self.total.astype(np.float32))


class Blocks:
    """One pass over the cells; a block's logits, terms and derivatives share one buffer.

    Parameters
    ----------
    inputs
        What has a gradient, float32 on the CPU.
    fixed
        What has none.
    scale
        Linear map to the logits where it is not to be built from the inputs.
    before
        An earlier pass whose room is taken over, and with it its gradients: memory that was given back would
        have to be asked for again. Of the same genes and parts of a likelihood.
    """

    def __init__(
        self,
        inputs: Inputs,
        fixed: Fixed,
        scale: SparseAffine | None = None,
        before: Blocks | None = None,
    ) -> None:
        self.inputs, self.fixed = inputs, fixed
        self.n_cells, n_genes = len(inputs.features), len(inputs.weight)
        self.n_rows = _rows(self.n_cells, n_genes, inputs.features.shape[1])
        self.scale: _Linear | SparseAffine = scale or _affine(
            inputs, None if before is None else before.scale
        )
        self.table = None if inputs.table is None else inputs.table.detach().contiguous()
        self.d_table = None if self.table is None else torch.zeros_like(self.table)
        self.dropout = None
        if inputs.dropout_weight is not None:
            own = inputs.features, inputs.dropout_weight, inputs.dropout_bias
            self.dropout = _Linear(*own, None if before is None else before.dropout)
        # logits, slope of additive rates, dropout logits
        needed = True, fixed.floor is not None, self.dropout is not None
        self.buffers: list[Tensor | None] = (
            before.buffers
            if before is not None and before.n_rows == self.n_rows
            else [torch.empty(self.n_rows, n_genes) if need else None for need in needed]
        )
        most = int(np.diff(fixed.counts.indptr).max(initial=0))
        self.scratch = np.empty(n_genes, np.float32), np.empty((7, most), np.float32)
        self.large = np.empty((3, most)), np.empty(most, np.int32)
        self.log_size = inputs.log_size.detach().reshape(-1).contiguous().numpy()
        self.value, self.d_size = np.empty(self.n_cells, np.float32), np.zeros(self.n_cells, np.float32)
        theta = NO_THETA if inputs.theta is None else inputs.theta.detach().contiguous().numpy()
        self.theta = theta, np.float32(1.0) / (theta + np.float32(EPS)), fixed.codes
        self.d_theta, self.d_bias = _ManyTerms(theta.shape), _ManyTerms((n_genes,))
        self.d_dropout_bias = _ManyTerms((n_genes if self.dropout else 0,))

    def run(self, weights: np.ndarray | None) -> np.ndarray:
        """Log-likelihood (cells,); the gradients of its sum with ``weights`` unless these are None."""
        flushed = 0
        for start in range(0, self.n_cells, self.n_rows):
            cells = slice(start, min(start + self.n_rows, self.n_cells))
            n = cells.stop - start
            logits, slope, logit = (b if b is None or len(b) == n else b[:n] for b in self.buffers)
            assert logits is not None  # for the type checker
            self._terms(cells, logits, slope, logit, weights)
            if weights is None:
                continue
            self._backward(cells, logits, slope, logit)
            if cells.stop - flushed >= FLUSH_CELLS or cells.stop == self.n_cells:
                for terms in (self.d_theta, self.d_bias, self.d_dropout_bias):
                    terms.flush()
                flushed = cells.stop
        return self.value

    def _logits(self, cells: slice, logits: Tensor, slope: Tensor | None) -> tuple[np.ndarray, ...]:
        """Fill the logits, or the activities and offsets of additive rates."""
        self.scale.forward(cells, logits)
        if slope is None:
            return logits.numpy(), NO_SLOPE
        if self.fixed.design is None or self.table is None:
            slope.zero_()
        else:
            torch.mm(self.fixed.design[cells], self.table, out=slope)
        return logits.numpy(), slope.numpy()

    def _terms(
        self,
        cells: slice,
        logits: Tensor,
        slope: Tensor | None,
        logit: Tensor | None,
        weights: np.ndarray | None,
    ) -> None:
        """Run the family's kernel, which turns the buffers into derivatives."""
        counts, wanted = self.fixed.counts, weights is not None
        rates = *self._logits(cells, logits, slope), float(self.fixed.floor or 0.0)
        rows = counts.indptr[cells.start : cells.stop + 1], counts.indices, counts.values
        head = *rates, *rows, self.log_size[cells]
        weight = (self.d_size if weights is None else weights)[cells], wanted, *self.scratch
        out = self.value[cells], self.d_size[cells], self.d_bias.part
        if self.theta[0] is NO_THETA:
            poisson_rows(*head, *weight, *out)
            return
        theta, inverse, codes = self.theta
        middle = theta, inverse, codes[cells], *weight, *self.large, *out, self.d_theta.part
        if logit is None or self.dropout is None:
            nb_rows(*head, *middle)
        else:
            self.dropout.forward(cells, logit)
            work = np.empty((2, CHUNK), np.float32)
            zinb_rows(*head, *middle, logit.numpy(), *work, self.d_dropout_bias.part)

    def _backward(self, cells: slice, logits: Tensor, slope: Tensor | None, logit: Tensor | None) -> None:
        if self.d_table is not None and self.fixed.design is not None:
            self.d_table.addmm_(self.fixed.design[cells].t(), logits)
        if slope is not None:
            logits.mul_(slope)
        self.scale.backward(cells, logits)
        if self.dropout is not None and logit is not None:
            self.dropout.backward(cells, logit)

    def gradients(self) -> Gradients:
        """Gradients of what ``run`` has seen."""
        d_features, d_weight = self.scale.gradients()
        d_dropout, d_dropout_bias = None, None
        if self.dropout is not None:
            from_dropout, d_dropout = self.dropout.gradients()
            d_features = d_features + from_dropout
            d_dropout_bias = None if self.inputs.dropout_bias is None else self.d_dropout_bias.tensor()
        d_bias = None if self.inputs.bias is None else self.d_bias.tensor()
        d_theta = None if self.theta[0] is NO_THETA else self.d_theta.tensor()
        d_size = torch.from_numpy(self.d_size[:, None])
        return Gradients(
            d_features, d_weight, d_bias, d_size, d_theta, d_dropout, d_dropout_bias, self.d_table
        )


def _rows(n_cells: int, n_genes: int, n_factors: int) -> int:
    """Cells of a block: as the cache holds, but enough to pay for a pass over the weights."""
    enough = min(FACTOR_ROWS * n_factors, MOST_ROWS)
    return max(1, min(n_cells, max(BLOCK_BYTES // (4 * n_genes), enough)))
