"""What is wrong with the first optimiser step that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distaff._checks import listing
from distaff.train.divergence import Place

__all__ = ["Diagnosis", "Failure", "diagnose"]


@dataclass(frozen=True)
class Failure:
    """What of an optimiser step is not finite.

    Parameters
    ----------
    what
        The first of it.
    parts
        Terms of the loss, where that is it.
    """

    what: str
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """Where training failed, and what of it.

    Parameters
    ----------
    what
        What is not finite.
    place
        Where.
    n_minibatches
        Minibatches of the epoch; None if that is not known.
    """

    what: str
    place: Place
    n_minibatches: int | None

    def text(self) -> str:
        """Say it."""
        place = self.place
        of = f" of {self.n_minibatches}" if self.n_minibatches else ""
        text = f"{self.what} at step {place.step} (epoch {place.epoch}, minibatch {place.minibatch}{of})"
        if place.terms:
            text += f", in {', '.join(place.terms)}"
        if place.part and place.part not in self.what:
            text += f"; the first part with a value that is not finite is {place.part}"
        return f"{text}; cells {listing(place.cells)}" if place.cells else text


def diagnose(
    plan: Any, minibatch: dict[str, Tensor], failure: Failure, *, epoch: int, number: int
) -> Diagnosis:
    """Look at a step that failed, from the weights and random states of before it.

    Parameters
    ----------
    plan
        The plan.
    minibatch
        Minibatch of the step.
    failure
        What of it is not finite.
    epoch, number
        Epoch of the step, and its place in it, counted from 1.
    """
    terms = [name for name, value in failure.parts.items() if not bool(value.isfinite().all())]
    part, gradients = _first_part(plan, minibatch)
    what = failure.what
    if gradients:
        what, part = f"The gradient of {gradients[0]} is not finite", gradients[0]
    loader = plan.trainer.train_dataloader
    cells = _cells(plan, loader, [failure.parts[name] for name in terms])
    place = Place(plan.counter.step + 1, epoch, number, terms, part, cells)
    return Diagnosis(what, place, len(getattr(loader, "loader", loader)))


def _first_part(plan: Any, minibatch: dict[str, Tensor]) -> tuple[str | None, list[str]]:
    """First part of the module that gives a value that is not finite, and all gradients that are not."""
    seen: list[str] = []

    def look(name: str) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Any) -> None:
            del part, inputs
            if not seen and any(not bool(t.isfinite().all()) for t in _tensors(output)):
                seen.append(name)

        return hook

    module: nn.Module = plan.module
    hooks = [part.register_forward_hook(look(name)) for name, part in _parts(module)]
    try:
        loss = plan.loss_of(minibatch)
    except torch.linalg.LinAlgError:
        return next(iter(seen), None), []
    finally:
        for hook in hooks:
            hook.remove()
    if seen or not bool(loss.isfinite()):
        return next(iter(seen), None), []
    module.zero_grad()
    loss.backward()
    weights = [(name, weight.grad) for name, weight in module.named_parameters() if weight.grad is not None]
    return None, [name for name, gradient in weights if not bool(gradient.isfinite().all())]


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Parts that compute values of cells, the objective left out: it adds them up."""
    return [(name, part) for name, part in module.named_modules() if name and name != "objective"]


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors of floats in what a part returns: a tensor, several, or a distribution."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.layout == torch.strided:
            yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
    elif hasattr(value, "__dict__"):
        yield from (t for t in vars(value).values() if isinstance(t, Tensor) and t.is_floating_point())


def _cells(plan: Any, loader: Any, terms: list[Tensor]) -> list[str]:
    """Names of the cells of which a term is not finite, or of all in the minibatch."""
    rows = getattr(getattr(loader, "loader", loader), "rows", None)
    if rows is None:
        return []
    names = plan.trainer.datamodule.manager.adata.obs_names[rows]
    wrong = np.zeros(len(rows), dtype=bool)
    for term in terms:
        if term.ndim and len(term) == len(rows):
            wrong |= ~term.isfinite().cpu().numpy()
    return [str(name) for name in (names[wrong] if wrong.any() else names)]
