"""Minibatches that several processes share: statistics of all their cells, and random numbers for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

__all__ = ["Part", "cell_mean", "gather_cells", "held_part", "holding", "noise", "rsample"]


@dataclass(frozen=True)
class Part:
    """Cells of a minibatch that this process holds: those from ``start`` to ``stop``, of ``n_cells``.

    Parameters
    ----------
    start, stop
        First cell, and the one after the last.
    n_cells
        Number of cells of the minibatch, in all processes.

    Examples
    --------
    >>> [Part.of(7, rank=rank, n_processes=3) for rank in range(3)][1]
    Part(start=2, stop=4, n_cells=7)
    """

    start: int
    stop: int
    n_cells: int

    @classmethod
    def of(cls, n_cells: int, *, rank: int, n_processes: int) -> Part | None:
        """Part of one process; None where there are fewer cells than processes: each then takes all."""
        if n_processes == 1 or n_cells < n_processes:
            return None
        start, stop = (n_cells * i // n_processes for i in (rank, rank + 1))
        return cls(start, stop, n_cells)


_held: ContextVar[Part | None] = ContextVar("distaff_part", default=None)


@contextmanager
def holding(part: Part | None) -> Iterator[None]:
    """Say which part of a minibatch the tensors hold that are computed here; None for all of it."""
    token = _held.set(part)
    try:
        yield
    finally:
        _held.reset(token)


def held_part() -> Part | None:
    """Part of the minibatch that this process holds; None for all of it."""
    return _held.get()


class _Total(torch.autograd.Function):
    """Sum over processes. Each process has a loss of its own: their gradients add up too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        total = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        del ctx
        return _Total.apply(gradient)


def cell_mean(x: Tensor) -> Tensor:
    """Mean over the cells of the minibatch, (cells, ...) to (...)."""
    part = _held.get()
    return x.mean(0) if part is None else _Total.apply(x.sum(0)) / part.n_cells


def gather_cells(x: Tensor) -> Tensor:
    """Rows (..., cells, columns) of all cells of the minibatch; ``x`` itself where it holds them all."""
    part = _held.get()
    if part is None:
        return x
    return _Total.apply(nn.functional.pad(x, (0, 0, part.start, part.n_cells - part.stop)))


def noise(draw: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Random numbers for a tensor (..., cells, columns).

    They are drawn for all cells of the minibatch, of which the rows of these are kept: the processes draw
    what one process would, and their generators stay in step.

    Parameters
    ----------
    draw
        Draws a tensor of the shape of its argument.
    like
        Tensor of the shape to return.
    """
    part = _held.get()
    if part is None:
        return draw(like)
    everywhere = like.new_empty((*like.shape[:-2], part.n_cells, like.shape[-1]))
    return draw(everywhere)[..., part.start : part.stop, :]


def rsample(q: Normal, n_samples: tuple[int, ...] = ()) -> Tensor:
    """Differentiable draw from a normal distribution of each cell, (*n_samples, cells, columns)."""
    if _held.get() is None:
        return q.rsample(n_samples)
    loc = q.loc.expand(*n_samples, *q.loc.shape)
    return loc + q.scale * noise(torch.randn_like, loc)
