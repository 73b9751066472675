"""Relaxations of a Bernoulli gate: differentiable in training; evaluation draws the exact one."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from distaff.nn.scheduled import Scheduled
from distaff.ops import noise

__all__ = ["AbstractGate", "ConcreteGate", "ShiftedSigmoidGate"]

SMALLEST_UNIFORM = 1e-6  # logit(u) of a float32 uniform stays finite


class AbstractGate(nn.Module):
    """A gate ``T`` in (0, 1) with ``P(T > 1/2) = gamma``, sharper with every step."""

    @abstractmethod
    def forward(self, logits: Tensor, step: int) -> Tensor:
        """Draw the gate from the logits of gamma, same shape."""


class ConcreteGate(AbstractGate):
    r"""Binary concrete :cite:p:`Maddison17`.

    .. math:: T = \sigma((s + \operatorname{logit} v) / \tau), \quad v \sim U(0, 1)

    Parameters
    ----------
    temperature
        :math:`\tau` by step.
    """

    def __init__(self, temperature: Scheduled) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor, step: int) -> Tensor:
        """Draw the gate."""
        v = noise(torch.rand_like, logits).clamp(SMALLEST_UNIFORM, 1.0 - SMALLEST_UNIFORM)
        return torch.sigmoid((logits + torch.logit(v)) / self.temperature(step))


class ShiftedSigmoidGate(AbstractGate):
    r"""The paper's :math:`T = \sigma(c (v - 1 + \gamma))`, v uniform :cite:p:`Tonolini19`.

    Its mean is not :math:`\gamma`: at :math:`\gamma = 0` it leaks :math:`\ln 2 / c`, and only draws within
    about :math:`5 / c` of the threshold carry a gradient.

    Parameters
    ----------
    steepness
        :math:`c` by step.
    """

    def __init__(self, steepness: Scheduled) -> None:
        super().__init__()
        self.steepness = steepness

    def forward(self, logits: Tensor, step: int) -> Tensor:
        """Draw the gate."""
        gamma = torch.sigmoid(logits)
        return torch.sigmoid(self.steepness(step) * (noise(torch.rand_like, gamma) - 1.0 + gamma))
