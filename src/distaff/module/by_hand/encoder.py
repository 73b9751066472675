"""Step of an encoder with one hidden layer and a normal posterior, with or without softplus behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from distaff.module.by_hand.adam import Adam
from distaff.module.by_hand.running import RunningMoments
from distaff.nn.layers import BATCH_NORM_EPS
from distaff.nn.links import Softplus
from distaff.nn.posteriors import VARIANCE_FLOOR
from distaff.ops.csr import CSR
from distaff.ops.kernels.heads import heads, heads_back
from distaff.ops.kernels.hidden import norm_relu, norm_relu_back
from distaff.ops.kernels.normal import draw_normal, draw_normal_back
from distaff.ops.kernels.sparse_rows import gather_rows

__all__ = ["EncoderStep"]

MOST_DIMENSIONS = 24  # of more the matrix library is faster than our loops


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
        layer, norm, self.dropout = body.linears[0].linear, body.norms[0], body.dropout
        self.weight, self.bias = adam.add(layer.weight, transposed=True), adam.add(layer.bias)
        self.gain, self.shift = adam.add(norm.weight), adam.add(norm.bias)
        self.running = RunningMoments(norm)
        heads = posterior.mean, posterior.log_variance
        self.positive = type(posterior.link) is Softplus
        self.heads = [adam.add(p) for head in heads for p in (head.weight, head.bias)]
        self.constants: dict[tuple[float, tuple[int, ...]], np.ndarray] = {}

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
        self.running.follow(mean, variance, n_cells)

    def draw(
        self, prior_loc: np.ndarray | float, prior_scale: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw of the latent, and the KL from a normal prior, both (cells, dimensions)."""
        self.loc, scale = self._heads()
        shape = self.loc.shape
        noise = torch.randn(shape).numpy()
        prior = [self._filled(value, shape) for value in (prior_loc, prior_scale)]
        self.drawn = [a.reshape(-1) for a in (noise, self.loc, scale, *prior)]
        flat_noise, flat_loc, flat_scale, *flat_prior = self.drawn
        draw, kl = np.empty(shape, np.float32), np.empty(shape, np.float32)
        normal = flat_loc, flat_scale, VARIANCE_FLOOR, flat_noise, *flat_prior
        draw_normal(*normal, draw.reshape(-1), kl.reshape(-1))
        self.before_link = draw
        return self._linked(draw), kl

    def location(self) -> np.ndarray:
        """Latent at the mean of the posterior, (cells, dimensions)."""
        return self._linked(self.loc)

    def _linked(self, u: np.ndarray) -> np.ndarray:
        return torch.nn.functional.softplus(torch.from_numpy(u)).numpy() if self.positive else u

    def _heads(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance, (cells, dimensions)."""
        w_loc, b_loc, w_log, b_log = self.heads
        if len(b_loc.value) > MOST_DIMENSIONS:
            units = torch.from_numpy(self.units)
            loc, log = (
                torch.addmm(b.tensor, units, w.tensor.t()) for w, b in ((w_loc, b_loc), (w_log, b_log))
            )
            return loc.numpy(), log.numpy()
        found = [np.empty((len(self.units), len(b_loc.value)), np.float32) for _ in range(2)]
        heads(self.units, w_loc.value, b_loc.value, w_log.value, b_log.value, *found)
        return found[0], found[1]

    def _filled(self, value: np.ndarray | float, shape: tuple[int, ...]) -> np.ndarray:
        """Array of this shape, as one is that is given; those of a number are kept."""
        if isinstance(value, np.ndarray):
            return value
        if (value, shape) not in self.constants:
            self.constants[value, shape] = np.full(shape, value, np.float32)
        return self.constants[value, shape]

    def update(self, columns: CSR, d_draw: np.ndarray, kl_weight: float) -> None:
        """Step of all parameters; ``columns`` is the transposed expression."""
        d_units = self._heads_back(d_draw, kl_weight)
        d_gain, d_shift, d_hidden = (np.empty_like(a) for a in (self.inverse, self.inverse, self.units))
        kept = self.normalised, self.units, self.gain.value, self.inverse, self.rate
        norm_relu_back(d_units, *kept, d_gain, d_shift, d_hidden)
        self.weight.step_on_rows(columns, d_hidden)
        self.bias.step(d_hidden.sum(axis=0))
        self.gain.step(d_gain)
        self.shift.step(d_shift)

    def _heads_back(self, d_draw: np.ndarray, kl_weight: float) -> np.ndarray:
        """Step of mean and log variance; returns the gradient by the units."""
        if self.positive:
            d_draw = d_draw * torch.sigmoid(torch.from_numpy(self.before_link)).numpy()
        d_loc, d_log = np.empty_like(d_draw), np.empty_like(d_draw)
        noise, loc, scale, *prior = self.drawn
        kept = noise, loc, scale, VARIANCE_FLOOR, *prior
        draw_normal_back(d_draw.reshape(-1), kl_weight, *kept, d_loc.reshape(-1), d_log.reshape(-1))
        if len(self.heads[1].value) > MOST_DIMENSIONS:
            return self._wide_heads_back(d_loc, d_log)
        d_units, found = np.zeros_like(self.units), [np.zeros_like(own.value) for own in self.heads]
        weights = self.heads[0].value, self.heads[2].value
        heads_back(d_loc, d_log, self.units, *weights, d_units, *found)
        for own, gradient in zip(self.heads, found, strict=True):
            own.step(gradient)
        return d_units

    def _wide_heads_back(self, d_loc: np.ndarray, d_log: np.ndarray) -> np.ndarray:
        """The same for many dimensions, by the matrix library."""
        units, by_loc, by_log = (torch.from_numpy(a) for a in (self.units, d_loc, d_log))
        w_loc, b_loc, w_log, b_log = self.heads
        d_units = torch.mm(by_loc, w_loc.tensor)
        d_units.addmm_(by_log, w_log.tensor)
        for weight, bias, gradient in ((w_loc, b_loc, by_loc), (w_log, b_log, by_log)):
            weight.step(torch.mm(gradient.t(), units).numpy())
            bias.step(gradient.numpy().sum(axis=0))
        return d_units.numpy()
