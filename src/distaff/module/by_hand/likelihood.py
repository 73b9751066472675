"""Step of a count likelihood with one dispersion a gene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from distaff.module.by_hand.adam import Adam
from distaff.nn.likelihoods import ZeroInflatedNegativeBinomialLikelihood
from distaff.ops.count_likelihood import Fixed, Gradients, Inputs, one_pass
from distaff.ops.csr import CSR, without_zeros
from distaff.ops.sparse_affine import SparseAffine

__all__ = ["LikelihoodStep", "array"]


def array(tensor: Tensor | None) -> np.ndarray:
    """Array of a gradient that is known to be there."""
    assert tensor is not None
    return tensor.numpy()


class LikelihoodStep:
    """Forward and backward by :meth:`run`, Adam by :meth:`update`.

    Parameters
    ----------
    likelihood
        Negative binomial, with or without zero inflation.
    adam
        Takes the steps.
    """

    def __init__(self, likelihood: Any, adam: Adam) -> None:
        self.inflated = isinstance(likelihood, ZeroInflatedNegativeBinomialLikelihood)
        self.log_theta = adam.add(likelihood.dispersion.log_value)
        self.before: Any = None

    def run(
        self,
        counts: CSR,
        features: Tensor,
        heads: Sequence[tuple[Tensor, Tensor | None]],
        log_size: Tensor,
        *,
        scale: SparseAffine | None = None,
        offset: tuple[Tensor, Tensor] | None = None,
        floor: float | None = None,
    ) -> tuple[np.ndarray, Gradients]:
        """Log-likelihood (cells,), and the gradients of minus its mean.

        ``heads`` are weights (genes, features) and bias (genes,) of expression and, with zero inflation, of
        the dropout logits; ``scale`` stands for the first of them where its weights are sparse. With a
        ``floor`` rates are additive, and an ``offset`` of design and table comes behind them.
        """
        n_cells = len(features)
        theta = self.log_theta.tensor.exp().unsqueeze(0)
        (weight, bias), codes = heads[0], np.zeros(n_cells, np.int32)
        design, table = (None, None) if offset is None else offset
        logit_weight, logit_bias = heads[1] if self.inflated else (None, None)
        inputs = Inputs(features, weight, bias, log_size, theta, logit_weight, logit_bias, table)
        fixed = Fixed(without_zeros(counts) if self.inflated else counts, codes, design, floor)
        cells = self.before = one_pass(inputs, fixed, scale, self.before)
        value = cells.run(np.full(n_cells, np.float32(-1.0 / n_cells), np.float32))
        found = cells.gradients()
        self.gradient = array(found.theta)[0] * theta.numpy()[0]
        return value, found

    def update(self) -> None:
        """Step of the dispersion."""
        self.log_theta.step(self.gradient)
