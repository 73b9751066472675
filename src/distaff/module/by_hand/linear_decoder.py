"""Step of a linear or annotated decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module.by_hand.adam import Adam, step_tables
from distaff.module.by_hand.likelihood import LikelihoodStep, array
from distaff.module.by_hand.loadings import Loadings
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
        self.norm, self.bias, self.hard, self.pattern = None, None, False, None
        annotated = isinstance(decoder, AnnotatedDecoder)
        if annotated:
            self.inside = decoder.mask.t().numpy() != 0
            self.bias, self.hard = adam.add(decoder.bias), decoder.hard
        self.loadings = Loadings(decoder, np.flatnonzero(self.inside) if self.hard else None, adam)
        self.tables = adam.add_tables(decoder.shift)
        self.likelihood = LikelihoodStep(module.likelihood, adam)
        if annotated:
            self.pattern = self._pattern()
        elif decoder.norm is not None:
            self.norm = _NormStep(decoder.norm, adam)

    def _pattern(self) -> Pattern:
        """Where weights may not be zero: within the mask, wherever else they are, and of covariates."""
        ones = [np.ones_like(table.value, dtype=bool) for table in self.tables]
        inside = self.inside if self.hard else self.inside | (self.loadings.own.value != 0)
        inside = np.concatenate([inside, *ones])
        pattern = Pattern.of(np.flatnonzero(inside), inside.shape)
        self.within = pattern.positions[: np.searchsorted(pattern.positions, self.inside.size)]
        return pattern

    def _sparse(self, features: Tensor) -> SparseAffine | None:
        """The map by its few weights that are not zero; None where they are not few."""
        if self.pattern is None or self.bias is None:
            return None
        values = self.loadings.values()
        if not self.hard:
            if not self.pattern.is_sparse(features.shape[1]):
                return None
            values = values.take(self.within)
            if count_nonzero(values) != self.loadings.n_nonzero():  # some weight has left the pattern
                self.pattern = self._pattern()
                return self._sparse(features)
        parts = [values, *(table.flat[0] for table in self.tables)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return SparseAffine(features, joined, self.bias.tensor, self.pattern, everywhere=not self.hard)

    def _dense(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weights (genes, features) and bias of the map."""
        values = [self.loadings.own.value, *(table.value for table in self.tables)]
        joined = values[0] if len(values) == 1 else np.concatenate(values)
        if self.norm is not None:
            return self.norm.fold(features.numpy(), joined)
        return torch.from_numpy(joined).t(), None if self.bias is None else self.bias.tensor

    def run(
        self, counts: CSR, z: Tensor, log_size: Tensor, covariates: Covariates
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood (cells,), and the derivatives of minus its mean by latent and log library size."""
        design = self.decoder.shift.design(covariates) if self.tables else None
        features = z if design is None else torch.cat([z, design], dim=1)
        scale = self._sparse(features)
        if scale is None:
            head = self._dense(features)
        else:  # of the weights only their number of genes is asked for
            head = self.loadings.own.tensor.t(), self.bias.tensor if self.bias else None
        value, found = self.likelihood.run(counts, features, [head], log_size, scale=scale)
        self.d_bias = NONE if head[1] is None else array(found.bias)
        d_features = found.features.numpy()
        if scale is not None and self.hard:
            self.d_weight = scale.d_values
        else:
            self.d_weight = array(found.weight).T
        if self.norm is not None:
            d_features = d_features + self.norm.fold_back(self.d_weight, self.d_bias)
            self.d_weight = self.norm.d_weight
        return value, np.ascontiguousarray(d_features[:, : self.n_latent]), found.log_size.numpy()

    def update(self) -> None:
        """Step of all parameters, and of the penalties."""
        gradient, n_own = self.d_weight.reshape(-1), self.loadings.values().size
        self.loadings.step(gradient[:n_own])
        if self.tables:
            step_tables(self.tables, gradient[n_own:].reshape(-1, self.loadings.own.value.shape[1]))
        self.likelihood.update()
        if self.norm is not None:
            self.norm.update()
        elif self.bias is not None:
            self.bias.step(self.d_bias)

    def store(self) -> None:
        """Write what is held apart back to the parameters."""
        self.loadings.store()


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
