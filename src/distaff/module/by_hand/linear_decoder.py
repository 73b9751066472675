"""Step of a linear or annotated decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module.by_hand.adam import Adam
from distaff.module.by_hand.likelihood import LikelihoodStep, array
from distaff.module.by_hand.running import RunningMoments
from distaff.nn.annotated_decoder import AnnotatedDecoder
from distaff.nn.covariates import Covariates
from distaff.nn.layers import BATCH_NORM_EPS
from distaff.ops.csr import CSR
from distaff.ops.kernels.fold import fold, fold_back
from distaff.ops.kernels.vectors import count_nonzero
from distaff.ops.sparse_affine import Pattern, SparseAffine

__all__ = ["LinearDecoderStep"]

NONE = np.empty(0, np.float32)


class LinearDecoderStep:
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
        self.decoder, self.n_latent = decoder, module.posterior.n_latent
        self.weight = adam.add(decoder.weights.raw, transposed=True)
        self.tables = adam.add_tables(decoder.shift)
        self.likelihood = LikelihoodStep(module.likelihood, adam)
        self.norm, self.bias, self.hard, self.pattern = None, None, False, None
        if isinstance(decoder, AnnotatedDecoder):
            self.bias, self.hard = adam.add(decoder.bias), decoder.hard
            self.pattern = self._pattern(decoder.mask)
        elif decoder.norm is not None:
            self.norm = _NormStep(decoder.norm, adam)

    def _pattern(self, mask: Tensor) -> Pattern:
        """Where weights may not be zero: within the mask, wherever else they are, and of covariates."""
        ones = [np.ones_like(table.value, dtype=bool) for table in self.tables]
        inside = mask.t().numpy() != 0
        if not self.hard:
            inside |= self.weight.value != 0
        inside = np.concatenate([inside, *ones])
        return Pattern.of(np.flatnonzero(inside), inside.shape[1])

    def _sparse(self, features: Tensor, weight: Tensor, bias: Tensor | None) -> SparseAffine | None:
        """The map by its few weights that are not zero; None where they are not few."""
        n_factors = features.shape[1]
        if self.pattern is None or not (self.hard or self.pattern.is_sparse(n_factors)):
            return None
        affine = SparseAffine(features, weight, bias, self.pattern, everywhere=not self.hard)
        if self.hard or affine.n_nonzero() == count_nonzero(weight.t().numpy().reshape(-1)):
            return affine
        self.pattern = self._pattern(self.decoder.mask)  # some weight has left it
        return self._sparse(features, weight, bias)

    def run(
        self, counts: CSR, z: Tensor, log_size: Tensor, covariates: Covariates
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood (cells,), and the derivatives of minus its mean by latent and log library size."""
        design = self.decoder.shift.design(covariates)
        features = z if design is None else torch.cat([z, design], dim=1)
        values = [self.weight.value, *(table.value for table in self.tables)]
        joined = values[0] if len(values) == 1 else np.concatenate(values)
        weight, bias = torch.from_numpy(joined).t(), None
        if self.norm is not None:
            weight, bias = self.norm.fold(features.numpy(), joined)
        elif self.bias is not None:
            bias = self.bias.tensor
        scale = self._sparse(features, weight, bias)
        value, found = self.likelihood.run(counts, features, [(weight, bias)], log_size, scale)
        self.d_bias = array(found.bias) if bias is not None else NONE
        d_features = found.features.numpy()
        if scale is not None and self.hard:
            self.d_weight = scale.gradient_at_positions()
        else:
            self.d_weight = array(found.weight).T
        if self.norm is not None:
            d_features = d_features + self.norm.fold_back(self.d_weight, self.d_bias)
            self.d_weight = self.norm.d_weight
        return value, np.ascontiguousarray(d_features[:, : self.n_latent]), found.log_size.numpy()

    def update(self) -> None:
        """Step of all parameters."""
        start = self._update_sparse() if self.hard else self._update_dense()
        for table in self.tables:
            stop = start + table.value.size
            table.step(self.d_weight.reshape(-1)[start:stop].reshape(table.value.shape))
            start = stop
        self.likelihood.update()
        if self.norm is not None:
            self.norm.update()
        elif self.bias is not None:
            self.bias.step(self.d_bias)

    def _update_dense(self) -> int:
        """Step of the weights; returns how many entries of the gradient were theirs."""
        self.weight.step(self.d_weight[: len(self.weight.value)])
        return self.weight.value.size

    def _update_sparse(self) -> int:
        assert self.pattern is not None  # hard
        positions = self.pattern.positions
        n = int(np.searchsorted(positions, self.weight.value.size))
        self.weight.step_at(positions[:n], self.d_weight[:n])
        return n


class _NormStep:
    """Batch norm that is folded into the weights."""

    def __init__(self, norm: Any, adam: Adam) -> None:
        self.running = RunningMoments(norm)
        self.gain, self.shift = adam.add(norm.weight), adam.add(norm.bias)

    def fold(self, features: np.ndarray, weight: np.ndarray) -> tuple[Tensor, Tensor]:
        """Folded weight (genes, features) and bias (genes,)."""
        n_features, n_genes = weight.shape
        mean_x, centred = np.empty(n_features, np.float32), np.empty(features.shape[::-1], np.float32)
        by_covariance, out = np.empty_like(weight), np.empty_like(weight)
        mean, variance, bias = (np.empty(n_genes, np.float32) for _ in range(3))
        moments = mean_x, centred, by_covariance, mean, variance
        gain, shift = self.gain.value, self.shift.value
        fold(features, weight, gain, shift, BATCH_NORM_EPS, *moments, out, bias)
        self.kept = weight, gain, BATCH_NORM_EPS, *moments
        self.running.follow(mean, variance, len(features))
        return torch.from_numpy(out).t(), torch.from_numpy(bias)

    def fold_back(self, d_weight: np.ndarray, d_bias: np.ndarray) -> np.ndarray:
        """Keep the gradients of all parameters; returns that by the features, through their moments."""
        self.d_weight, self.d_gain, self.d_shift = np.empty_like(d_weight), np.empty_like(d_bias), d_bias
        d_features = np.empty(self.kept[4].shape[::-1], np.float32)
        fold_back(d_weight, d_bias, *self.kept, d_features, self.d_weight, self.d_gain)
        return d_features

    def update(self) -> None:
        """Step of gain and shift."""
        self.gain.step(self.d_gain)
        self.shift.step(self.d_shift)
