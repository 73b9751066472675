"""Negative binomial of a linear decoder with few factors: one compiled pass, a few cells at a time."""

from __future__ import annotations

import numpy as np
import torch

from distaff.ops._count_likelihood_inputs import Fixed, Gradients, Inputs
from distaff.ops.kernels.few_factors import nb_few_factors
from distaff.ops.kernels.nb import EPS

__all__ = ["FewFactors"]

MOST_FACTORS = 24  # of more, a library's matrix products cost less
NONE = np.empty(0, np.float32)


class FewFactors:
    """One pass over the cells.

    Parameters
    ----------
    inputs
        What has a gradient, float32 on the CPU.
    fixed
        What has none.
    """

    def __init__(self, inputs: Inputs, fixed: Fixed) -> None:
        self.inputs, self.fixed = inputs, fixed
        self.n_cells, n_factors = inputs.features.shape
        n_genes = len(inputs.weight)
        self.value, self.d_size = np.empty(self.n_cells, np.float32), np.zeros(self.n_cells, np.float32)
        self.d_features = np.zeros((self.n_cells, n_factors), np.float32)
        self.d_weight = np.zeros((n_factors, n_genes), np.float32)
        self.d_bias, self.d_theta = np.zeros(n_genes), np.zeros(inputs.theta.shape)  # type: ignore[union-attr]

    @classmethod
    def serves(cls, inputs: Inputs, fixed: Fixed) -> bool:
        """Whether the pass knows this likelihood, and is the fastest."""
        n_factors = inputs.weight.shape[1]
        known = inputs.theta is not None and inputs.dropout_weight is None and fixed.floor is None
        return known and 0 < n_factors <= MOST_FACTORS

    def run(self, weights: np.ndarray | None) -> np.ndarray:
        """Log-likelihood (cells,); the gradients of its sum with ``weights`` unless these are None."""
        features, weight, bias, log_size, theta, *_ = (
            NONE if t is None else t.detach().contiguous().numpy()
            for t in self.inputs._replace(weight=self.inputs.weight.t())
        )
        cells = self.d_size if weights is None else weights
        parameters = theta, np.float32(1.0) / (theta + np.float32(EPS)), self.fixed.codes
        gradients = self.d_features, self.d_weight, self.d_size, self.d_bias, self.d_theta
        x = *self.fixed.counts, log_size.reshape(-1)
        wanted = weights is not None
        nb_few_factors(features, weight, bias, *x, *parameters, cells, wanted, self.value, *gradients)
        return self.value

    def gradients(self) -> Gradients:
        """Gradients of what ``run`` has seen."""
        d_bias = None if self.inputs.bias is None else torch.from_numpy(self.d_bias.astype(np.float32))
        d_theta = torch.from_numpy(self.d_theta.astype(np.float32))
        d_size = torch.from_numpy(self.d_size[:, None])
        d_features, d_weight = torch.from_numpy(self.d_features), torch.from_numpy(self.d_weight).t()
        return Gradients(d_features, d_weight, d_bias, d_size, d_theta, None, None, None)
