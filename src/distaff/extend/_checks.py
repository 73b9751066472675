"""What all parts are asked for: finite values, gradients, the same answer twice and after a load."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from distaff._checks import error

__all__ = ["CELLS", "GENES", "check_module", "check_tensor", "draw"]

CELLS, GENES = 12, 7


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def check_tensor(what: str, value: object, *shapes: Sequence[int]) -> Tensor:
    """Return ``value`` if it is a tensor of finite numbers in one of the shapes."""
    wanted = " or ".join(str(tuple(shape)) for shape in shapes)
    if not isinstance(value, Tensor) or tuple(value.shape) not in {tuple(shape) for shape in shapes}:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise error(f"{what} must be a tensor of the shape {wanted}", got=got, kind=AssertionError)
    if not bool(value.isfinite().all()):
        raise error(f"{what} must be finite", got="nan or infinity", kind=AssertionError)
    return value


def check_module(part: nn.Module, call: Callable[[nn.Module], Tensor]) -> None:
    """Check gradients of ``call(part)``, a scalar, that it does not change by itself, and the saved state."""
    part.train()
    part.zero_grad()
    call(part).backward()
    for name, parameter in part.named_parameters():
        if parameter.numel():
            gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
            check_tensor(f"The gradient of {name}", gradient, parameter.shape, (1,))
            if not bool(gradient.abs().sum() > 0):
                rule = f"Parameter {name} must change the result"
                raise error(rule, got="no gradient", kind=AssertionError)
    part.eval()
    with torch.no_grad():
        first = call(part)
        if not torch.equal(first, call(part)):
            raise error("Evaluation must give the same twice", got="two results", kind=AssertionError)
        state = {name: value.clone() for name, value in part.state_dict().items()}
        for parameter in part.parameters():
            parameter.add_(1.0)
        part.load_state_dict(state)
        if not torch.equal(first, call(part)):
            fix = "Keep what is learned in parameters, and what is counted in buffers."
            got = "another result"
            raise error("A loaded state must give the same", got=got, fix=fix, kind=AssertionError)
