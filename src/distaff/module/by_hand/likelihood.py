"""Step of a count likelihood with one dispersion a gene."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module.by_hand.adam import Adam
from distaff.nn.likelihoods import ZeroInflatedNegativeBinomialLikelihood
from distaff.ops.count_likelihood import Blocks, Fixed, Inputs
from distaff.ops.csr import CSR, without_zeros
from distaff.ops.sparse_affine import SparseAffine

__all__ = ["LikelihoodStep"]


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

    def run(
        self,
        counts: CSR,
        features: Tensor,
        heads: list[tuple[Tensor, Tensor | None]],
        log_size: Tensor,
        scale: SparseAffine | None = None,
    ) -> tuple[np.ndarray, Inputs]:
        """Log-likelihood (cells,), and the gradients of minus its mean.

        ``heads`` are weights (genes, features) and bias (genes,) of expression and, with zero inflation, of
        the dropout logits; ``scale`` stands for the first of them where its weights are sparse.
        """
        n_cells = len(features)
        theta = torch.from_numpy(np.exp(self.log_theta.value)).unsqueeze(0)
        dropout = heads[1] if self.inflated else (None, None)
        inputs = Inputs(features, *heads[0], log_size, theta, *dropout, None)
        counts = without_zeros(counts) if self.inflated else counts
        family = "zinb" if self.inflated else "nb"
        blocks = Blocks(inputs, Fixed(counts, family, np.zeros(n_cells, np.int32), None, None), scale)
        value = blocks.run(np.full(n_cells, np.float32(-1.0 / n_cells), np.float32))
        found = blocks.gradients()
        self.gradient = (found.theta * theta).numpy()[0]
        return value, found

    def update(self) -> None:
        """Step of the dispersion."""
        self.log_theta.step(self.gradient)
