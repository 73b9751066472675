"""Proximal steps: right after the optimiser's, in its metric unless the decoder asks for another."""

from __future__ import annotations

from typing import Any

import torch

from distaff.ops import proximal_step

__all__ = ["apply_proximal_steps"]


def apply_proximal_steps(decoder: Any, optimiser: torch.optim.Optimizer) -> None:
    """Apply the penalties of a decoder to its weights, with the learning rate of the step just taken.

    Parameters
    ----------
    decoder
        Decoder; those with penalties say so by ``proximal()``.
    optimiser
        Adam, whose second moments are the metric of those that ask for it.
    """
    if not hasattr(decoder, "proximal"):
        return
    groups = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    for target in decoder.proximal():
        group = groups.get(id(target.weight))
        if group is None:  # frozen: another model's weights stay as they are
            continue
        proximal_step(
            target.weight,
            l1=target.l1,
            group=target.group,
            lr=group["lr"],
            second_moment=optimiser.state[target.weight]["exp_avg_sq"] if target.in_metric else None,
            bias_correction=_bias_correction(optimiser, target.weight, group) if target.in_metric else 1.0,
            eps=group["eps"],
        )


def _bias_correction(
    optimiser: torch.optim.Optimizer, weight: torch.Tensor, group: dict[str, Any]
) -> float | torch.Tensor:
    """What Adam divides the second moment of ``weight`` by; on a GPU, which is not waited for, a tensor."""
    count = optimiser.state[weight]["step"]
    return 1.0 - group["betas"][1] ** (float(count) if count.device.type == "cpu" else count.double())
