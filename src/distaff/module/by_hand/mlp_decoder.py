"""Step of a decoder with one hidden layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module.by_hand.adam import Adam, Parameter, step_tables
from distaff.module.by_hand.likelihood import LikelihoodStep, array
from distaff.module.by_hand.running import RunningMoments
from distaff.nn.covariates import Covariates
from distaff.nn.layers import BATCH_NORM_EPS
from distaff.ops.csr import CSR
from distaff.ops.kernels.hidden import norm_relu, norm_relu_back

__all__ = ["MLPDecoderStep"]

NONE = np.empty((0, 0), np.float32)


class MLPDecoderStep:
    """Forward and backward by :meth:`run`, Adam by :meth:`update`.

    Parameters
    ----------
    module
        Module with the decoder and the likelihood.
    adam
        Takes the steps.
    """

    def __init__(self, module: Any, adam: Adam) -> None:
        body, heads = module.decoder.body, module.decoder.heads
        linear, norm = body.linears[0].linear, body.norms[0]
        self.covariates = body.linears[0].shift
        self.weight, self.bias = adam.add(linear.weight), adam.add(linear.bias)
        self.gain, self.shift = adam.add(norm.weight), adam.add(norm.bias)
        self.running = RunningMoments(norm)
        self.tables = adam.add_tables(self.covariates)
        self.heads = [
            (adam.add(heads[name].weight), adam.add(heads[name].bias)) for name in module.likelihood.heads
        ]
        self.likelihood = LikelihoodStep(module.likelihood, adam)
        self.gradients: list[tuple[Parameter, np.ndarray]] = []

    def run(
        self, counts: CSR, z: Tensor, log_size: Tensor, covariates: Covariates
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood (cells,), and the derivatives of minus its mean by latent and log library size."""
        weight, design = self.weight.tensor, self.covariates.design(covariates)
        hidden = torch.addmm(self.bias.tensor, z, weight.t())
        if design is not None:
            hidden.addmm_(design, torch.from_numpy(np.concatenate([t.value for t in self.tables])))
        normalised, n_units = hidden.numpy(), len(weight)
        mean, variance, inverse = (np.empty(n_units, np.float32) for _ in range(3))
        units = np.empty_like(normalised)
        scaling = self.gain.value, self.shift.value, BATCH_NORM_EPS, NONE, 0.0
        norm_relu(normalised, *scaling, mean, variance, inverse, units)
        self.running.follow(mean, variance, len(z))

        heads = [(w.tensor, b.tensor) for w, b in self.heads]
        value, found = self.likelihood.run(counts, torch.from_numpy(units), heads, log_size)
        d_heads = [(found.weight, found.bias), (found.dropout_weight, found.dropout_bias)][: len(heads)]
        self.gradients = [
            pair
            for (own_w, own_b), (d_w, d_b) in zip(self.heads, d_heads, strict=True)
            for pair in ((own_w, array(d_w)), (own_b, array(d_b)))
        ]

        d_gain, d_shift, d_hidden = (np.empty_like(a) for a in (inverse, inverse, units))
        kept = normalised, units, self.gain.value, inverse, 0.0
        norm_relu_back(found.features.numpy(), *kept, d_gain, d_shift, d_hidden)
        by_hidden = torch.from_numpy(d_hidden)
        self.gradients += [
            (self.weight, torch.mm(by_hidden.t(), z).numpy()),
            (self.bias, d_hidden.sum(axis=0)),
            (self.gain, d_gain),
            (self.shift, d_shift),
        ]
        if design is not None:
            self.d_tables = torch.mm(design.t(), by_hidden).numpy()
        return value, torch.mm(by_hidden, weight).numpy(), found.log_size.numpy()

    def update(self) -> None:
        """Step of all parameters."""
        for parameter, gradient in self.gradients:
            parameter.step(gradient)
        if self.tables:
            step_tables(self.tables, self.d_tables)
        self.likelihood.update()

    def store(self) -> None:
        """Do nothing: all parameters are changed where they are."""
