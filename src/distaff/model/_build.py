"""The one place that turns the user's strings and numbers into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch
from torch import nn

from distaff._checks import check_choice, check_flag, check_int, check_number, error, listing
from distaff.model._decoder import LINEAR, DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig
from distaff.model._start import NON_NEGATIVE_STARTS, STARTS
from distaff.module import FactorModule
from distaff.nn import (
    CellDispersion,
    CovariateSpec,
    FixedDispersion,
    FixedLibrary,
    GeneDispersion,
    GroupDispersion,
    LearnedLibrary,
    Log1p,
    MLPEncoder,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    ObservedLibrary,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from distaff.nn.dispersions import AbstractDispersion
from distaff.nn.libraries import AbstractLibrary
from distaff.nn.likelihoods import AbstractLikelihood
from distaff.nn.terms import Terms

__all__ = ["COUNT_LIKELIHOODS", "DataSpec", "ModelConfig", "build_module", "layer_widths"]

COUNT_LIKELIHOODS = ("nb", "zinb", "poisson")
LIKELIHOODS = (*COUNT_LIKELIHOODS, "normal")
DISPERSIONS = ("gene", "gene-batch", "gene-label", "gene-cell", "fixed")
SQUARED_ERROR = 0.5**0.5  # standard deviation with which -log p is the squared error, up to a constant


@dataclass(frozen=True)
class DataSpec:
    """What the parts must know of the data.

    Parameters
    ----------
    n_genes
        Number of genes.
    covariates
        Sizes of the covariates.
    has_size_factor
        Whether cells come with a size factor of their own.
    library_log_means, library_log_variances
        Moments of the log library size by batch, shape (batches,).
    annotation
        Gene sets, shape (genes, sets), for an annotated decoder.
    added
        Terms that each query added to it.
    """

    n_genes: int
    covariates: CovariateSpec
    has_size_factor: bool
    library_log_means: np.ndarray
    library_log_variances: np.ndarray
    annotation: np.ndarray | None = None
    added: tuple[Terms, ...] = ()

    def annotation_mask(self, n_factors: int) -> np.ndarray | None:
        """Where loadings may differ from zero at the start, (genes, factors); None for everywhere."""
        if self.annotation is None:
            return None
        n_free = n_factors - self.annotation.shape[1] - sum(terms.n_factors for terms in self.added)
        free = np.ones((self.n_genes, n_free), dtype=bool)
        added = [terms.inside().numpy() != 0 for terms in self.added]
        return np.concatenate([self.annotation != 0, free, *added], axis=1)


@dataclass(frozen=True)
class ModelConfig:
    """Choice of parts, as users write it."""

    widths: tuple[int, ...]
    dropout_rate: float
    likelihood: str
    dispersion: str
    use_observed_lib_size: bool
    encode_covariates: bool
    latent: LatentConfig
    decoder: DecoderConfig
    objective: ObjectiveConfig
    init: str | None = None

    def __post_init__(self) -> None:
        for name in ("use_observed_lib_size", "encode_covariates"):
            check_flag(name, getattr(self, name))
        check_number("dropout_rate", self.dropout_rate, minimum=0, below=1)
        check_choice("likelihood", self.likelihood, LIKELIHOODS)
        check_choice("dispersion", self.dispersion, DISPERSIONS)
        self._check_init()
        if self.dispersion == "fixed" and self.likelihood != "normal":
            raise error("dispersion='fixed' must have likelihood='normal'", got=repr(self.likelihood))
        no_density = self.latent.has_gate or self.latent.prior == "deterministic"
        if self.objective.total_correlation and no_density:
            raise error(
                "total_correlation must be 0 for a latent without a density",
                got=f"{self.objective.total_correlation} with prior={self.latent.prior!r}",
                fix="dip and hsic work with any latent.",
            )

    def _check_init(self) -> None:
        if self.init is None:
            return
        check_choice("init", self.init, STARTS)
        fix = f"Use init=None or one of {listing(NON_NEGATIVE_STARTS)}."
        if self.decoder.decoder not in LINEAR:
            fix = "A start needs decoder='linear' or 'annotated'."
            raise error(
                "init must be None", got=f"{self.init!r} with decoder={self.decoder.decoder!r}", fix=fix
            )
        if self.likelihood not in COUNT_LIKELIHOODS:
            rule = f"likelihood must be one of {listing(COUNT_LIKELIHOODS)} with init={self.init!r}"
            raise error(rule, got=repr(self.likelihood), fix="Pass init=None for another.")
        signed = self.init not in NON_NEGATIVE_STARTS
        if signed and (self.decoder.non_negative or self.latent.needs_positive_start):
            raise error("init must be non-negative for non-negative parts", got=repr(self.init), fix=fix)
        if signed and self.decoder.decoder == "annotated":
            raise error("init must be non-negative for gene sets", got=repr(self.init), fix=fix)

    def check_data(self, data: DataSpec) -> None:
        """Refuse a choice that the data cannot serve."""
        groups = {"gene-batch": data.covariates.n_batch, "gene-label": data.covariates.n_labels}
        if groups.get(self.dispersion, 2) < 2:
            key = "batch_key" if self.dispersion == "gene-batch" else "labels_key"
            raise error(
                f"dispersion={self.dispersion!r} must have two groups or more",
                got="one",
                fix=f"Pass {key} to setup_anndata, or use dispersion='gene'.",
            )


def layer_widths(n_hidden: int, n_layers: int) -> tuple[int, ...]:
    """Widths of equal layers."""
    n_layers = check_int("n_layers", n_layers, minimum=1)
    return (check_int("n_hidden", n_hidden, minimum=1),) * n_layers


def given_widths(n_hidden: int | Sequence[int], n_layers: int) -> tuple[int, ...]:
    """Widths of equal layers, or those that are given one by one."""
    if isinstance(n_hidden, str) or not isinstance(n_hidden, Sequence):
        return layer_widths(n_hidden, n_layers)
    if not n_hidden or n_layers not in (1, len(n_hidden)):
        raise error(
            "n_hidden must be a width, or one for each layer", got=f"{n_hidden!r}, n_layers={n_layers}"
        )
    return tuple(check_int("Width in n_hidden", width, minimum=1) for width in n_hidden)


def build_module(config: ModelConfig, data: DataSpec) -> FactorModule:
    """Make the parts and compose them."""
    config.check_data(data)
    likelihood = _likelihood(config, data)
    return FactorModule(
        encoder=_encoder(config, data, config.widths),
        posterior=config.latent.posterior(config.widths[-1]),
        prior=config.latent.prior_part(data.n_genes, config.widths[-1]),
        decoder=config.decoder.part(
            config.latent.n_latent,
            data.n_genes,
            likelihood.heads,
            data.covariates,
            data.annotation,
            data.added,
        ),
        likelihood=likelihood,
        library=_library(config, data),
        objective=config.objective.build(),
        covariates=data.covariates,
    )


def _encoder(config: ModelConfig, data: DataSpec, widths: tuple[int, ...]) -> MLPEncoder:
    return MLPEncoder(
        data.n_genes,
        widths,
        transform=Log1p() if config.likelihood in COUNT_LIKELIHOODS else nn.Identity(),
        spec=data.covariates if config.encode_covariates else None,
        dropout_rate=config.dropout_rate,
    )


def _dispersion(config: ModelConfig, data: DataSpec) -> AbstractDispersion:
    if config.dispersion == "gene":
        return GeneDispersion(data.n_genes)
    if config.dispersion == "fixed":
        return FixedDispersion(SQUARED_ERROR)
    if config.dispersion == "gene-batch":
        return GroupDispersion(data.n_genes, data.covariates.n_batch, attrgetter("batch"))
    if config.dispersion == "gene-label":
        return GroupDispersion(data.n_genes, data.covariates.n_labels, attrgetter("labels"))
    return CellDispersion()


def _likelihood(config: ModelConfig, data: DataSpec) -> AbstractLikelihood:
    if config.likelihood == "normal":
        return NormalLikelihood(_dispersion(config, data))
    # with a size factor the expression has no fixed sum: the size factor is a scale, not a total
    link = nn.Softplus() if data.has_size_factor else nn.Softmax(dim=-1)
    if config.likelihood == "poisson":
        return PoissonLikelihood(link)
    if config.likelihood == "nb":
        return NegativeBinomialLikelihood(_dispersion(config, data), link)
    return ZeroInflatedNegativeBinomialLikelihood(_dispersion(config, data), link)


def _library(config: ModelConfig, data: DataSpec) -> AbstractLibrary:
    if config.likelihood not in COUNT_LIKELIHOODS:
        return FixedLibrary()
    if config.use_observed_lib_size or data.has_size_factor:
        return ObservedLibrary()
    return LearnedLibrary(
        _encoder(config, data, config.widths[:1]),
        torch.from_numpy(data.library_log_means),
        torch.from_numpy(data.library_log_variances),
    )
