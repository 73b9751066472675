"""A copy of all numbers that an optimiser step changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Snapshot", "not_finite"]


class Snapshot:
    """Copy of the weights, running averages and moments of a module in training, and of its counts of steps.

    Parameters
    ----------
    module
        The module.
    optimiser
        Its optimiser.
    counter
        What has the number of steps taken, ``step``.
    """

    def __init__(self, module: nn.Module, optimiser: torch.optim.Optimizer, counter: Any) -> None:
        self.module, self.optimiser, self.counter = module, optimiser, counter
        self.live: list[Tensor] = []
        self.copies: list[Tensor] = []

    @torch.no_grad()
    def take(self) -> None:
        """Copy everything, into the memory of the copies before."""
        live = [tensor for _, tensor in state_tensors(self.module, self.optimiser)]
        if len(live) != len(self.live):
            self.copies = [torch.empty_like(tensor) for tensor in live]
        self.live = live
        for copy, tensor in zip(self.copies, live, strict=True):
            copy.copy_(tensor)
        self.step: int = self.counter.step

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back where it was."""
        for copy, tensor in zip(self.copies, self.live, strict=True):
            tensor.copy_(copy)
        known = {id(tensor) for tensor in self.live}
        for weight, state in list(self.optimiser.state.items()):
            if not all(id(v) in known for v in state.values() if isinstance(v, Tensor)):
                del self.optimiser.state[weight]  # it took its first step since
        self.counter.step = self.step


def state_tensors(module: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of all that training changes."""
    for name, tensor in module.state_dict().items():
        if not name.endswith("_extra_state"):
            yield name, tensor
    names: dict[Tensor, str] = {weight: name for name, weight in module.named_parameters()}
    for weight, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                yield f"{key} of {names.get(weight, 'a weight')} in the optimiser", value


@torch.no_grad()
def not_finite(module: nn.Module, optimiser: torch.optim.Optimizer) -> list[str]:
    """Names of all that training changes and that is not finite; one look at each where all are."""
    found = state_tensors(module, optimiser)
    tensors = [(name, t) for name, t in found if t.is_floating_point() and t.ndim and t.numel()]
    total = torch.stack([t.sum().float() for _, t in tensors]).sum()  # sums of all may overflow: look again
    if bool(total.isfinite()):
        return []
    return [name for name, t in tensors if not bool(t.isfinite().all())]
