"""What becomes of a module when it is mapped to a query."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

from distaff.nn.tables import Extendable

__all__ = ["adopt", "freeze", "query_parameters"]


def adopt(module: nn.Module, reference: nn.Module) -> None:
    """Give a module all that a reference with the same parts, for fewer categories or terms, has learned."""
    references = dict(reference.named_modules())
    state = reference.state_dict()
    for name, part in module.named_modules():
        if isinstance(part, Extendable):
            part.extend(references[name])
            for key in _own_tensors(references[name]):
                del state[f"{name}.{key}"]
            state |= {f"{name}.{key}": tensor for key, tensor in _own_tensors(part).items()}
    state["_extra_state"] = module.state_dict()["_extra_state"]  # a frozen reference does not freeze it
    module.load_state_dict(state)


def freeze(module: nn.Module) -> None:
    """Keep everything from being trained but what the parts give to a query."""
    module.requires_grad_(requires_grad=False)
    for parameter in query_parameters(module):
        parameter.requires_grad_()
    module.train(module.training)  # what is frozen also stops to drop units and to follow averages


def query_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return what the parts let a query train: all that the reference does not know."""
    parts = [part for part in module.modules() if isinstance(part, Extendable)]
    return [parameter for part in parts for parameter in part.query_parameters()]


def _own_tensors(part: nn.Module) -> dict[str, Tensor]:
    return dict(chain(part.named_parameters(recurse=False), part.named_buffers(recurse=False)))
