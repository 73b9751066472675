"""Likelihoods of expression: decoder heads and library size to a distribution over genes.

The distributions are scvi-tools' own, so that everything it computes from them works.
"""

from __future__ import annotations

from abc import abstractmethod

from scvi.distributions import NegativeBinomial, Normal, Poisson, ZeroInflatedNegativeBinomial
from torch import Tensor, nn
from torch.distributions import Distribution

from distaff.nn.covariates import Covariates
from distaff.nn.dispersions import AbstractDispersion
from distaff.nn.readouts import Readout
from distaff.ops import linear_count_log_likelihood

__all__ = [
    "AbstractLikelihood",
    "NegativeBinomialLikelihood",
    "NormalLikelihood",
    "PoissonLikelihood",
    "ZeroInflatedNegativeBinomialLikelihood",
]


SMALLEST_RATE = 1e-8  # a softmax underflows to 0, of which the log of a Poisson rate is minus infinity


class AbstractLikelihood(nn.Module):
    """``p(x | z)``; ``heads`` names the decoder outputs that it needs, ``is_count`` what ``x`` must be."""

    heads: tuple[str, ...]
    is_count: bool = True

    @abstractmethod
    def forward(self, heads: dict[str, Tensor], library: Tensor, covariates: Covariates) -> Distribution:
        """Heads (..., cells, genes) and log library size (..., cells, 1) to ``p(x | z)``."""

    def log_likelihood(
        self, counts: Tensor, readouts: dict[str, Readout], log_size: Tensor, covariates: Covariates
    ) -> Tensor | None:
        """``log p(x | z)`` of each cell, without a (cells, genes) matrix; None where that cannot be.

        Parameters
        ----------
        counts
            Sparse CSR tensor (cells, genes).
        readouts
            Heads of the decoder, in parts.
        log_size
            Log library size (cells, 1).
        covariates
            Covariates of the cells.
        """
        del counts, readouts, log_size, covariates
        return None

    @abstractmethod
    def statistics(self, px: Distribution) -> dict[str, Tensor]:
        """Parameters to report, each (..., cells, genes) or (genes,)."""


class NegativeBinomialLikelihood(AbstractLikelihood):
    r"""Negative binomial, :math:`x_g \sim NB(\ell \rho_g, \theta_g)` with :math:`\rho = \text{link}(h)`.

    Mean :math:`\mu`, variance :math:`\mu + \mu^2 / \theta`.

    Parameters
    ----------
    dispersion
        Inverse dispersion :math:`\theta`.
    link
        Head to expression: softmax with a library size, softplus with a size factor.
    """

    def __init__(self, dispersion: AbstractDispersion, link: nn.Module) -> None:
        super().__init__()
        self.dispersion = dispersion
        self.link = link
        self.heads = ("scale", *dispersion.heads)

    def forward(self, heads: dict[str, Tensor], library: Tensor, covariates: Covariates) -> NegativeBinomial:
        """Distribution over counts."""
        scale = self.link(heads["scale"])
        theta = self.dispersion(heads, covariates)
        return NegativeBinomial(mu=library.exp() * scale, theta=theta, scale=scale, validate_args=False)

    def log_likelihood(
        self, counts: Tensor, readouts: dict[str, Readout], log_size: Tensor, covariates: Covariates
    ) -> Tensor | None:
        """Log-likelihood of each cell, in parts; None for a softplus link or a dispersion of each cell."""
        theta = self.dispersion.by_group(covariates)
        if theta is None:
            return None
        return _log_likelihood(self.link, counts, readouts, log_size, theta)

    def statistics(self, px: NegativeBinomial) -> dict[str, Tensor]:
        """Mean and inverse dispersion."""
        return {"mean": px.mu, "dispersions": px.theta}


class ZeroInflatedNegativeBinomialLikelihood(AbstractLikelihood):
    """Negative binomial with a further chance of zero, whose logit the decoder gives.

    Parameters
    ----------
    dispersion
        Inverse dispersion.
    link
        Head to expression: softmax with a library size, softplus with a size factor.
    """

    def __init__(self, dispersion: AbstractDispersion, link: nn.Module) -> None:
        super().__init__()
        self.dispersion = dispersion
        self.link = link
        self.heads = ("scale", "dropout", *dispersion.heads)

    def forward(
        self, heads: dict[str, Tensor], library: Tensor, covariates: Covariates
    ) -> ZeroInflatedNegativeBinomial:
        """Distribution over counts."""
        scale = self.link(heads["scale"])
        return ZeroInflatedNegativeBinomial(
            mu=library.exp() * scale,
            theta=self.dispersion(heads, covariates),
            zi_logits=heads["dropout"],
            scale=scale,
            validate_args=False,
        )

    def log_likelihood(
        self, counts: Tensor, readouts: dict[str, Readout], log_size: Tensor, covariates: Covariates
    ) -> Tensor | None:
        """Log-likelihood of each cell, in parts; None for a softplus link or a dispersion of each cell."""
        theta = self.dispersion.by_group(covariates)
        if theta is None:
            return None
        return _log_likelihood(self.link, counts, readouts, log_size, theta)

    def statistics(self, px: ZeroInflatedNegativeBinomial) -> dict[str, Tensor]:
        """Mean of the NB, inverse dispersion, chance of the further zero."""
        return {"mean": px.mu, "dispersions": px.theta, "dropout": px.zi_probs}


class PoissonLikelihood(AbstractLikelihood):
    r"""Poisson, :math:`x_g \sim Poisson(\ell \rho_g)`.

    Parameters
    ----------
    link
        Head to expression: softmax with a library size, softplus with a size factor.
    """

    heads = ("scale",)

    def __init__(self, link: nn.Module) -> None:
        super().__init__()
        self.link = link

    def forward(self, heads: dict[str, Tensor], library: Tensor, covariates: Covariates) -> Poisson:
        """Distribution over counts."""
        del covariates
        scale = self.link(heads["scale"])
        rate = (library.exp() * scale).clamp(min=SMALLEST_RATE)
        return Poisson(rate=rate, scale=scale, validate_args=False)

    def log_likelihood(
        self, counts: Tensor, readouts: dict[str, Readout], log_size: Tensor, covariates: Covariates
    ) -> Tensor | None:
        """Log-likelihood of each cell, in parts; None for a softplus link."""
        del covariates
        return _log_likelihood(self.link, counts, readouts, log_size)

    def statistics(self, px: Poisson) -> dict[str, Tensor]:
        """Mean."""
        return {"mean": px.rate}


class NormalLikelihood(AbstractLikelihood):
    r"""Normal on real-valued (log-normalised, scaled) expression, :math:`x_g \sim N(h_g, \sigma_g^2)`.

    The mean is the head itself. scVI's normal forces it to be a share of the library size, which no
    log-normalised or scaled matrix is.

    Parameters
    ----------
    dispersion
        Standard deviation :math:`\sigma`.
    """

    is_count = False

    def __init__(self, dispersion: AbstractDispersion) -> None:
        super().__init__()
        self.dispersion = dispersion
        self.heads = ("scale", *dispersion.heads)

    def forward(self, heads: dict[str, Tensor], library: Tensor, covariates: Covariates) -> Normal:
        """Distribution over real values."""
        del library
        mean = heads["scale"]
        return Normal(mean, self.dispersion(heads, covariates), normal_mu=mean, validate_args=False)

    def statistics(self, px: Normal) -> dict[str, Tensor]:
        """Mean and standard deviation."""
        return {"mean": px.loc, "dispersions": px.scale}


def _log_likelihood(
    link: nn.Module,
    counts: Tensor,
    readouts: dict[str, Readout],
    log_size: Tensor,
    theta: Tensor | tuple[Tensor, Tensor] | None = None,
) -> Tensor | None:
    """Log-likelihood of each cell if expression is a softmax of linear logits, else None."""
    scale, dropout = readouts["scale"], readouts.get("dropout")
    shares_features = dropout is None or dropout.features is scale.features
    if scale.norm is not None or not isinstance(link, nn.Softmax) or not shares_features:
        return None
    return linear_count_log_likelihood(
        counts,
        scale.features,
        scale.weight,
        bias=scale.bias,
        log_size=log_size,
        theta=theta,
        dropout=None if dropout is None else (dropout.weight, dropout.bias),
        offset=scale.offset,
        floor=scale.floor,
    )
