"""One optimiser step of an encoder with one hidden layer and a normal posterior, written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from distaff.module.adam import Adam
from distaff.nn.layers import BATCH_NORM_EPS
from distaff.nn.posteriors import VARIANCE_FLOOR
from distaff.ops.csr import CSR
from distaff.ops.kernels.hidden import norm_relu, norm_relu_back
from distaff.ops.kernels.normal_head import normal_head, normal_head_back
from distaff.ops.kernels.sparse_rows import gather_rows

__all__ = ["EncoderStep"]


class EncoderStep:
    """Forward by :meth:`read` and :meth:`draw`, backward and Adam by :meth:`update`.

    Parameters
    ----------
    body
        MLP with one layer.
    posterior
        Normal posterior on its units.
    adam
        Takes the steps.
    """

    def __init__(self, body: Any, posterior: Any, adam: Adam) -> None:
        layer, self.norm, self.dropout = body.linears[0].linear, body.norms[0], body.dropout
        self.weight, self.bias = adam.add(layer.weight, transposed=True), adam.add(layer.bias)
        self.gain, self.shift = adam.add(self.norm.weight), adam.add(self.norm.bias)
        heads = posterior.mean, posterior.log_variance
        self.heads = [adam.add(p) for head in heads for p in (head.weight, head.bias)]

    def read(self, rows: CSR, n_cells: int) -> None:
        """Hidden units of expression (cells, genes), with the moments and the dropout of training."""
        n_units = len(self.bias.value)
        self.rate = self.dropout.p if self.dropout.training else 0.0
        noise = torch.rand(n_cells, n_units) if self.rate > 0 else torch.empty(0, 0)
        self.normalised = np.empty((n_cells, n_units), np.float32)
        gather_rows(*rows, self.weight.value, self.normalised)
        self.normalised += self.bias.value
        mean, variance, self.inverse = (np.empty(n_units, np.float32) for _ in range(3))
        self.units = np.empty_like(self.normalised)
        scaling = self.gain.value, self.shift.value, BATCH_NORM_EPS, noise.numpy(), self.rate
        norm_relu(self.normalised, *scaling, mean, variance, self.inverse, self.units)
        self.norm.follow(torch.from_numpy(mean), torch.from_numpy(variance), n_cells)

    def draw(self, prior_loc: np.ndarray, prior_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw from the posterior, and its KL from a normal prior, both (cells, dimensions)."""
        shape = len(self.units), len(self.heads[1].value)
        self.noise = torch.randn(shape).numpy()
        self.prior = [np.empty(shape, np.float32) for _ in range(2)]
        self.prior[0][:], self.prior[1][:] = prior_loc, prior_scale
        self.loc, self.scale, draw, kl = (np.empty(shape, np.float32) for _ in range(4))
        heads = (parameter.value for parameter in self.heads)
        out = self.loc, self.scale, draw, kl
        normal_head(self.units, *heads, VARIANCE_FLOOR, self.noise, *self.prior, *out)
        return draw, kl

    def update(self, columns: CSR, d_draw: np.ndarray, kl_weight: float) -> None:
        """Step of all parameters; ``columns`` is the transposed expression."""
        w_loc, _, w_var, _ = self.heads
        gradients = [np.empty_like(parameter.value) for parameter in self.heads]
        d_units, d_hidden = np.empty_like(self.units), np.empty_like(self.units)
        normal_head_back(
            d_draw, np.float32(kl_weight), self.noise, self.loc, self.scale, VARIANCE_FLOOR, *self.prior,
            self.units, w_loc.value, w_var.value, d_units, *gradients,
        )  # fmt: skip
        d_gain, d_shift = np.empty_like(self.inverse), np.empty_like(self.inverse)
        norm_relu_back(
            d_units, self.normalised, self.units, self.gain.value, self.inverse, self.rate,
            d_gain, d_shift, d_hidden,
        )  # fmt: skip
        self.weight.step_on_rows(columns, d_hidden)
        self.bias.step(d_hidden.sum(axis=0))
        self.gain.step(d_gain)
        self.shift.step(d_shift)
        for parameter, gradient in zip(self.heads, gradients, strict=True):
            parameter.step(gradient)
