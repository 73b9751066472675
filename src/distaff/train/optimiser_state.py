"""The state of an optimiser as plain data, and back in the memory layout of its parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["optimiser_state", "set_optimiser_state"]

OF_DEVICE = {"params", "foreach", "fused", "capturable"}  # not settings: what these are depends on the device


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Settings of each group of parameters, and what is known of each parameter, in their order."""
    return {
        "groups": [
            {name: value for name, value in group.items() if name not in OF_DEVICE}
            for group in optimiser.param_groups
        ],
        "parameters": [dict(optimiser.state.get(weight, {})) for weight in _weights(optimiser)],
    }


def set_optimiser_state(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore what :func:`optimiser_state` returned.

    Torch's own ``load_state_dict`` would lay out the moments of a transposed matrix by its rows.
    """
    for group, settings in zip(optimiser.param_groups, state["groups"], strict=True):
        group.update(settings)
    optimiser.state.clear()
    for weight, known in zip(_weights(optimiser), state["parameters"], strict=True):
        if known:
            optimiser.state[weight] = {name: _beside(weight, value) for name, value in known.items()}


def _weights(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _beside(weight: Tensor, value: Any) -> Any:
    """Copy of a value that belongs to a parameter; torch keeps counts of steps on the CPU or with it."""
    if not isinstance(value, Tensor):
        return value
    if value.shape == weight.shape and value.ndim:
        return torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(weight.device if weight.device.type == "cuda" else "cpu", copy=True)
