"""One optimiser step of a linear model written out by hand: its loops alone, without autograd between them.

What it computes is what :meth:`~distaff.module.FactorModule.minibatch_loss`, ``backward`` and Adam do, in
the same order of random draws; tests hold the two against each other. It serves the model that most users
train: one hidden layer on sparse counts, a normal latent, a linear decoder, the negative binomial and the
beta-weighted KL. Everything else goes through autograd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor, nn

from distaff.module.adam import Adam
from distaff.module.encoder_step import EncoderStep
from distaff.module.minibatch import MinibatchLoss
from distaff.nn.covariates import Covariates
from distaff.nn.dispersions import GeneDispersion
from distaff.nn.encoders import Log1p, MLPEncoder
from distaff.nn.layers import BATCH_NORM_EPS
from distaff.nn.libraries import LearnedLibrary, ObservedLibrary
from distaff.nn.likelihoods import NegativeBinomialLikelihood
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.links import Identity
from distaff.nn.posteriors import NormalPosterior
from distaff.nn.priors import StandardNormalPrior
from distaff.nn.readouts import LogLinearRate
from distaff.objectives import BetaKL
from distaff.ops.batch_norm import MOST_FEATURES
from distaff.ops.count_likelihood import Blocks, Fixed, Inputs
from distaff.ops.csr import CSR, csr_arrays, is_csr32, transposed
from distaff.ops.kernels.fold import fold, fold_back
from distaff.ops.kernels.vectors import log1p_values

__all__ = ["LinearStep"]


class LinearStep:
    """Optimiser steps of a module that :meth:`of` has found to fit.

    Parameters
    ----------
    module
        Module whose parameters are changed in place.
    optimiser
        Its Adam, whose state is read and kept.
    """

    def __init__(self, module: Any, optimiser: torch.optim.Optimizer) -> None:
        self.module = module
        self.adam = Adam(optimiser)
        self.encoder = EncoderStep(module.encoder.body, module.posterior, self.adam)
        self.library = None
        if isinstance(module.library, LearnedLibrary):
            self.library = EncoderStep(module.library.encoder.body, module.library.posterior, self.adam)
        self.decoder = _DecoderStep(module, self.adam)

    @classmethod
    def of(cls, module: Any, optimiser: torch.optim.Optimizer) -> LinearStep | None:
        """Return the step of a module, or None where autograd has to do it."""
        if not _is_linear(module) or type(optimiser) is not torch.optim.Adam:
            return None
        step = cls(module, optimiser)
        in_training = {id(p) for group in optimiser.param_groups for p in group["params"]}
        return step if in_training == step.adam.parameters() and step.adam.is_contiguous() else None

    def __call__(self, tensors: dict[str, Tensor]) -> MinibatchLoss | None:
        """Take one step; None, with nothing done, where the counts are not sparse on the CPU."""
        x = tensors[REGISTRY_KEYS.X_KEY]
        if not is_csr32(x):
            return None
        counts = csr_arrays(x)
        covariates = self.module._covariates(tensors)
        (term,) = self.module.objective.terms
        beta = term.schedule(self.module.objective.step)
        weight = beta / len(x)
        rows = CSR(counts.indptr, counts.indices, np.empty_like(counts.values))
        log1p_values(counts.values, rows.values)
        n_cells, kl_library = len(x), np.zeros((len(x), 1), np.float32)
        self.encoder.read(rows, n_cells)
        if self.library is not None:
            self.library.read(rows, n_cells)
        latent = self.encoder.draw(np.float32(0.0), np.float32(1.0))
        if self.library is None:
            log_size = torch.segment_reduce(x.values(), "sum", offsets=torch.from_numpy(counts.indptr)).log()
        else:
            prior = self.module.library.prior(covariates)
            log_size, kl_library = self.library.draw(prior.loc.numpy(), prior.scale.numpy())
            log_size = torch.from_numpy(log_size)
        z, kl = latent
        log_likelihood, d_z, d_size = self.decoder.run(counts, torch.from_numpy(z), log_size, covariates)
        columns = transposed(rows, x.shape[1])
        self.adam.advance()
        self.decoder.update()
        self.encoder.update(columns, d_z, weight)
        if self.library is not None:
            self.library.update(columns, d_size, 1.0 / n_cells)
        return _loss(term.name, -log_likelihood, kl, kl_library[:, 0], beta, self.encoder.loc)


class _DecoderStep:
    """Linear decoder, its batch norm and the negative binomial."""

    def __init__(self, module: Any, adam: Adam) -> None:
        self.decoder, self.n_latent = module.decoder, module.posterior.n_latent
        self.norm, self.log_theta = module.decoder.norm, module.likelihood.dispersion.log_value
        self.weight = adam.add(module.decoder.weights.raw, transposed=True)
        self.tables = [adam.add(t.rows) for t in module.decoder.shift.categorical if t.n_rows]
        if len(module.decoder.shift.continuous):
            self.tables.append(adam.add(module.decoder.shift.continuous))
        self.theta = adam.add(self.log_theta)
        self.gain = None if self.norm is None else adam.add(self.norm.weight)
        self.shift = None if self.norm is None else adam.add(self.norm.bias)

    def run(
        self, counts: CSR, z: Tensor, log_size: Tensor, covariates: Covariates
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood (cells,), and the derivatives of minus its mean by latent and log library size."""
        design = self.decoder.shift.design(covariates)
        features = z if design is None else torch.cat([z, design], dim=1)
        parts = [self.weight.value, *(table.value for table in self.tables)]
        weight = parts[0] if len(parts) == 1 else np.concatenate(parts)
        bias = None
        if self.norm is not None:
            weight, bias = self._fold(features.numpy(), weight)
        theta = torch.from_numpy(np.exp(self.theta.value))
        inputs = Inputs(
            features, torch.from_numpy(weight).t(), bias, log_size, theta.unsqueeze(0), None, None, None
        )
        n_cells = len(z)
        blocks = Blocks(inputs, Fixed(counts, "nb", np.zeros(n_cells, np.int32), None, None))
        value = blocks.run(np.full(n_cells, np.float32(-1.0 / n_cells), np.float32))
        found = blocks.gradients()
        self.d_theta = found.theta.numpy()[0] * theta.numpy()
        d_weight, d_features = found.weight.t().numpy(), found.features.numpy()
        if self.norm is not None:
            d_features, d_weight = self._fold_back(d_weight, found.bias.numpy(), d_features)
        self.d_weight = d_weight
        return value, np.ascontiguousarray(d_features[:, : self.n_latent]), found.log_size.numpy()

    def _fold(self, features: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, Tensor]:
        n_features, n_genes = weight.shape
        mean_x, centred = np.empty(n_features, np.float32), np.empty(features.shape[::-1], np.float32)
        by_covariance, out = np.empty_like(weight), np.empty_like(weight)
        mean, variance, bias = (np.empty(n_genes, np.float32) for _ in range(3))
        moments = mean_x, centred, by_covariance, mean, variance
        gain, shift = self.gain.value, self.shift.value
        fold(features, weight, gain, shift, BATCH_NORM_EPS, *moments, out, bias)
        self.folded = weight, gain, BATCH_NORM_EPS, *moments
        self.norm.follow(torch.from_numpy(mean), torch.from_numpy(variance), len(features))
        return out, torch.from_numpy(bias)

    def _fold_back(
        self, d_weight: np.ndarray, d_bias: np.ndarray, d_features: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        by_features, by_weight = np.empty_like(d_features), np.empty_like(d_weight)
        self.d_gain, self.d_shift = np.empty_like(d_bias), d_bias
        fold_back(d_weight, d_bias, *self.folded, by_features, by_weight, self.d_gain)
        return d_features + by_features, by_weight

    def update(self) -> None:
        """Step of all parameters."""
        start = 0
        for parameter in (self.weight, *self.tables):
            stop = start + len(parameter.value)
            parameter.step(self.d_weight[start:stop])
            start = stop
        self.theta.step(self.d_theta)
        if self.gain is not None and self.shift is not None:
            self.gain.step(self.d_gain)
            self.shift.step(self.d_shift)


def _loss(
    name: str,
    reconstruction: np.ndarray,
    kl: np.ndarray,
    kl_library: np.ndarray,
    beta: float,
    location: np.ndarray,
) -> MinibatchLoss:
    r, k, kl_l = (torch.from_numpy(array) for array in (reconstruction, kl, kl_library))
    weighted = beta * k.sum(dim=1)
    parts = {"reconstruction": r, name: weighted, "library": kl_l}
    return MinibatchLoss((r + (weighted + kl_l)).mean(), r, k, kl_l, parts, torch.from_numpy(location))


def _is_linear(module: Any) -> bool:
    """Whether all parts are of the kinds that this step knows."""
    decoder, library, likelihood = module.decoder, module.library, module.likelihood
    return (
        _is_plain(module.encoder, module.posterior)
        and type(module.prior) is StandardNormalPrior
        and (
            type(library) is ObservedLibrary
            or (type(library) is LearnedLibrary and _is_plain(library.encoder, library.posterior))
        )
        and type(decoder) is LinearDecoder
        and type(decoder.rate) is LogLinearRate
        and not decoder.weights.non_negative
        and _n_features(decoder) <= MOST_FEATURES
        and type(likelihood) is NegativeBinomialLikelihood
        and type(likelihood.dispersion) is GeneDispersion
        and isinstance(likelihood.link, nn.Softmax)
        and [type(term) for term in module.objective.terms] == [BetaKL]
        and not module.frozen
        and all(p.device.type == "cpu" and p.dtype is torch.float32 for p in module.parameters())
    )


def _is_plain(encoder: Any, posterior: Any) -> bool:
    """Whether an encoder has one hidden layer on log counts alone, and a normal latent of its own."""
    return (
        type(encoder) is MLPEncoder
        and type(encoder.transform) is Log1p
        and len(encoder.body.linears) == 1
        and encoder.body.linears[0].shift.table() is None
        and type(posterior) is NormalPosterior
        and type(posterior.link) is Identity
    )


def _n_features(decoder: LinearDecoder) -> int:
    table = decoder.shift.table()
    return decoder.weights.raw.shape[1] + (0 if table is None else len(table))
