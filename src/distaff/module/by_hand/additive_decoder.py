"""Step of a linear decoder with non-negative loadings that add up to log1p expression."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module.by_hand.adam import Adam, step_tables
from distaff.module.by_hand.likelihood import LikelihoodStep, array
from distaff.nn.covariates import Covariates
from distaff.ops.csr import CSR

__all__ = ["AdditiveDecoderStep"]


class AdditiveDecoderStep:
    """Forward and backward by :meth:`run`, Adam by :meth:`update`.

    Parameters
    ----------
    module
        Module with the decoder and the likelihood.
    adam
        Takes the steps.
    """

    def __init__(self, module: Any, adam: Adam) -> None:
        decoder = module.decoder
        self.shift, self.floor = decoder.shift, decoder.rate.floor
        self.raw = adam.add(decoder.weights.raw, transposed=True)
        self.tables = adam.add_tables(decoder.shift)
        self.likelihood = LikelihoodStep(module.likelihood, adam)

    def run(
        self, counts: CSR, z: Tensor, log_size: Tensor, covariates: Covariates
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood (cells,), and the derivatives of minus its mean by latent and log library size."""
        raw = self.raw.tensor
        head = torch.nn.functional.softplus(raw).t(), None
        offset = None
        if self.tables:
            offset = self.shift.design(covariates), torch.cat([table.tensor for table in self.tables])
        value, found = self.likelihood.run(counts, z, [head], log_size, offset=offset, floor=self.floor)
        self.d_raw = (array(found.weight).T * torch.sigmoid(raw).numpy()).reshape(-1)
        self.d_table = None if offset is None else array(found.table)
        return value, found.features.numpy(), found.log_size.numpy()

    def update(self) -> None:
        """Step of all parameters."""
        self.raw.step(self.d_raw)
        if self.d_table is not None:
            step_tables(self.tables, self.d_table)
        self.likelihood.update()

    def store(self) -> None:
        """Do nothing: all parameters are changed where they are."""
