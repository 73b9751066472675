"""Parts of a model: each maps a context to tensors or to a distribution, and can be tested alone."""

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import MLPDecoder
from distaff.nn.dispersions import (
    CellDispersion,
    FixedDispersion,
    GeneDispersion,
    GroupDispersion,
)
from distaff.nn.encoders import Log1p, MLPEncoder
from distaff.nn.layers import MLP, CovariateLinear
from distaff.nn.libraries import FixedLibrary, LearnedLibrary, ObservedLibrary
from distaff.nn.likelihoods import (
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from distaff.nn.links import Exponential, ExponentialQuantile, Identity, Simplex, Softplus
from distaff.nn.posteriors import NormalPosterior
from distaff.nn.priors import StandardNormalPrior

__all__ = [
    "MLP",
    "CellDispersion",
    "CovariateLinear",
    "CovariateSpec",
    "Covariates",
    "Exponential",
    "ExponentialQuantile",
    "FixedDispersion",
    "FixedLibrary",
    "GeneDispersion",
    "GroupDispersion",
    "Identity",
    "LearnedLibrary",
    "Log1p",
    "MLPDecoder",
    "MLPEncoder",
    "NegativeBinomialLikelihood",
    "NormalLikelihood",
    "NormalPosterior",
    "ObservedLibrary",
    "PoissonLikelihood",
    "Simplex",
    "Softplus",
    "StandardNormalPrior",
    "ZeroInflatedNegativeBinomialLikelihood",
]
