"""Terms that push the dimensions of a latent towards independence."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TypeVar

from torch import Tensor
from torch.distributions import Distribution

from distaff._checks import check_number
from distaff.objectives.terms import AbstractTerm, LossInputs
from distaff.ops.dip import dip_penalty
from distaff.ops.hsic import hsic
from distaff.ops.schedules import Schedule
from distaff.ops.total_correlation import total_correlation

__all__ = ["DIP1", "DIP2", "HSIC", "TotalCorrelation"]

T = TypeVar("T")


@dataclass(frozen=True)
class TotalCorrelation(AbstractTerm):
    r"""Total correlation of the latent times a weight :cite:p:`Chen18`.

    .. math:: \lambda \left(E \ln q(u) - \sum_d E \ln q(u_d)\right)

    Added to a KL of weight 1, the weight :math:`\lambda = \beta - 1` gives the beta-TCVAE. The value carries
    the constant of :func:`~distaff.ops.total_correlation`; only its changes can be read.

    Parameters
    ----------
    schedule
        Weight :math:`\lambda` by step.
    name
        Key in the history.
    """

    schedule: Schedule
    _: KW_ONLY
    name: str = "total_correlation"

    def supports(self, q: Distribution) -> bool:
        """Whether draws from ``q`` are differentiable; those of a spike and slab are not."""
        return q.has_rsample

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        """Return the weighted terms, shape (cells,)."""
        q, u = _given("qz", inputs.qz), _given("u", inputs.u)
        return value * total_correlation(q, u, n_cells=inputs.n_cells)


@dataclass(frozen=True)
class DIP1(AbstractTerm):
    r"""DIP-VAE-I: covariance of the posterior means against the identity :cite:p:`Kumar18`.

    .. math:: \lambda \left(\sum_{d \ne e} C_{de}^2 + r \sum_d (C_{dd} - 1)^2\right),
        \quad C = \operatorname{Cov}_x(\mu(x))

    Parameters
    ----------
    schedule
        Weight :math:`\lambda` of the off-diagonal by step.
    diagonal_ratio
        Weight :math:`r` of the diagonal relative to :math:`\lambda`.
    name
        Key in the history.
    """

    schedule: Schedule
    _: KW_ONLY
    diagonal_ratio: float = 10.0
    name: str = "dip"

    def __post_init__(self) -> None:
        check_number("diagonal_ratio", self.diagonal_ratio, minimum=0)

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        """Return the weighted penalty, a scalar."""
        q = _given("qz", inputs.qz)
        return value * dip_penalty(q.mean, diagonal_ratio=self.diagonal_ratio)


@dataclass(frozen=True)
class DIP2(AbstractTerm):
    r"""DIP-VAE-II: covariance of the aggregated posterior against the identity :cite:p:`Kumar18`.

    .. math:: \lambda \left(\sum_{d \ne e} C_{de}^2 + r \sum_d (C_{dd} - 1)^2\right),
        \quad C = \operatorname{Cov}_x(\mu(x)) + E_x \operatorname{diag} \sigma^2(x)

    Parameters
    ----------
    schedule
        Weight :math:`\lambda` of the off-diagonal by step.
    diagonal_ratio
        Weight :math:`r` of the diagonal relative to :math:`\lambda`.
    name
        Key in the history.
    """

    schedule: Schedule
    _: KW_ONLY
    diagonal_ratio: float = 1.0
    name: str = "dip"

    def __post_init__(self) -> None:
        check_number("diagonal_ratio", self.diagonal_ratio, minimum=0)

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        """Return the weighted penalty, a scalar."""
        q = _given("qz", inputs.qz)
        return value * dip_penalty(q.mean, q.variance, diagonal_ratio=self.diagonal_ratio)


@dataclass(frozen=True)
class HSIC(AbstractTerm):
    r"""Mean Hilbert-Schmidt independence criterion of all pairs of dimensions :cite:p:`Gretton05`.

    It looks at what the decoder reads. The criterion has no unit and is small, 0.07 for two normal
    dimensions that are the same: the weight must be chosen against the reconstruction.

    Parameters
    ----------
    schedule
        Weight by step.
    name
        Key in the history.
    """

    schedule: Schedule
    _: KW_ONLY
    name: str = "hsic"

    def __call__(self, inputs: LossInputs, value: float) -> Tensor:
        """Return the weighted criterion, a scalar."""
        return value * hsic(_given("z", inputs.z))


def _given(name: str, value: T | None) -> T:
    """What a term cannot do without."""
    if value is None:
        raise ValueError(f"LossInputs.{name} must be given for a term that disentangles, got None.")
    return value
