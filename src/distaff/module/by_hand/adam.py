"""Adam's step on arrays, with torch's optimiser as the owner of the state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from distaff.nn.layers import CovariateShift
from distaff.ops.csr import CSR
from distaff.ops.kernels.adam import adam_flat, adam_sparse_rows

__all__ = ["Adam", "Parameter", "step_tables"]


MOST_SMALL = 4096  # values of a parameter whose step is taken together with those of others


class Parameter:
    """A parameter and its moments, seen as arrays.

    Parameters
    ----------
    parameter
        Parameter of an optimiser.
    owner
        What knows the optimiser.
    transposed
        See a matrix by its columns.
    """

    def __init__(self, parameter: nn.Parameter, owner: Adam, *, transposed: bool) -> None:
        self.parameter, self.owner = parameter, owner
        state = owner.optimiser.state[parameter]
        if not state:  # as torch begins
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        tensors = parameter.detach(), state["exp_avg"], state["exp_avg_sq"]
        self.own = [(t.t() if transposed else t).numpy() for t in tensors]
        self.is_small = not transposed and parameter.numel() <= MOST_SMALL
        self.count = state["step"].numpy()
        self.see(self.own)

    def see(self, arrays: Sequence[np.ndarray], gradient: np.ndarray | None = None) -> None:
        """Take ``arrays`` for value and moments, and ``gradient`` for where gradients wait for their step."""
        self.value, self.first, self.second = arrays
        self.tensor, self.gradient = torch.from_numpy(self.value), gradient
        self.flat = [array.reshape(-1) for array in arrays]

    def is_contiguous(self) -> bool:
        """Whether the loops can change it where it is."""
        return all(array.flags.c_contiguous for array in self.own)

    def step(self, gradient: np.ndarray) -> None:
        """Take the step for a gradient of the shape of ``value``; of a small one, at the end of all."""
        if self.gradient is not None:
            self.gradient[...] = gradient.reshape(-1)
            return
        value, first, second = self.flat
        adam_flat(value, gradient.reshape(-1), first, second, *self.constants())

    def step_on_rows(self, columns: CSR, source: np.ndarray) -> None:
        """Take the step for the gradient ``columns @ source``."""
        adam_sparse_rows(*columns, source, self.value, self.first, self.second, *self.constants())

    def constants(self) -> tuple[float, ...]:
        """Count a step, and return its constants."""
        self.count += 1
        return self.owner.constants(self.count.item())

    def learning_rate(self) -> float:
        """Learning rate of the step."""
        return float(self.owner.optimiser.param_groups[0]["lr"])


class Adam:
    """Steps of the parameters of one optimiser.

    Parameters
    ----------
    optimiser
        Torch's Adam with one group of parameters; its learning rate is read at every step.
    """

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self.optimiser = optimiser
        self.owned: list[Parameter] = []
        self.known: dict[float, tuple[float, ...]] = {}
        self.together: _Together | None = None

    def add(self, parameter: Any, *, transposed: bool = False) -> Parameter:
        """Take on a parameter."""
        self.owned.append(Parameter(parameter, self, transposed=transposed))
        return self.owned[-1]

    def add_tables(self, shift: CovariateShift) -> list[Parameter]:
        """Take on what covariates add, in the order of the columns of their design."""
        tables = [self.add(table.rows) for table in shift.tables() if table.n_rows]
        return [*tables, self.add(shift.continuous)] if len(shift.continuous) else tables

    def parameters(self) -> set[int]:
        """Identities of the parameters taken on."""
        return {id(own.parameter) for own in self.owned}

    def is_contiguous(self) -> bool:
        """Whether all arrays can be changed where they are."""
        return all(own.is_contiguous() for own in self.owned)

    def advance(self) -> None:
        """Begin a step: nothing is known of its constants."""
        self.optimiser._opt_called = True  # type: ignore[attr-defined] # as schedulers of the rate look for
        self.known.clear()

    def gather(self) -> None:
        """Hold small parameters together, in arrays of their own, until :meth:`store`."""
        if self.together is None:
            self.together = _Together(self.owned)

    def finish(self) -> None:
        """Take the steps of all small parameters."""
        if self.together is not None:
            self.together.step(self)

    def store(self) -> None:
        """Write small parameters back; others may change them now."""
        if self.together is not None:
            self.together.store()
            self.together = None

    def constants(self, count: float) -> tuple[float, ...]:
        """Rate over the first bias, betas, eps, decay, root of the second bias after ``count`` steps."""
        if count not in self.known:
            group = self.optimiser.param_groups[0]
            beta1, beta2 = group["betas"]
            rate = float(group["lr"]) / (1.0 - beta1**count)
            root = (1.0 - beta2**count) ** 0.5
            self.known[count] = rate, beta1, beta2, group["eps"], group["weight_decay"], root
        return self.known[count]


class _Together:
    """Small parameters and their moments one behind the other: a step is one loop, not one for each.

    Parameters
    ----------
    owned
        Parameters; those are held that are small and have taken as many steps as the first of them.
    """

    def __init__(self, owned: Sequence[Parameter]) -> None:
        small = [own for own in owned if own.is_small]
        self.held = [own for own in small if own.count == small[0].count]
        stops = np.cumsum([0, *(own.value.size for own in self.held)])
        self.parts = [slice(start, stop) for start, stop in pairwise(stops.tolist())]
        self.arrays = [np.empty(stops[-1], np.float32) for _ in range(3)]
        self.gradient = np.zeros(stops[-1], np.float32)
        for own, part in zip(self.held, self.parts, strict=True):
            for array, flat in zip(self.arrays, own.flat, strict=True):
                array[part] = flat
            shape = own.value.shape
            own.see([array[part].reshape(shape) for array in self.arrays], self.gradient[part])

    def step(self, adam: Adam) -> None:
        """Take the steps for the gradients that wait."""
        value, first, second = self.arrays
        for own in self.held:
            own.count += 1
        adam_flat(value, self.gradient, first, second, *adam.constants(self.held[0].count.item()))

    def store(self) -> None:
        """Write all back to where they were taken from."""
        for own, part in zip(self.held, self.parts, strict=True):
            own.see(own.own)
            for array, flat in zip(self.arrays, own.flat, strict=True):
                flat[:] = array[part]


def step_tables(tables: list[Parameter], gradient: np.ndarray) -> None:
    """Take the steps of tables whose gradients lie one below the other, (rows of all, columns)."""
    start = 0
    for table in tables:
        stop = start + len(table.value)
        table.step(gradient[start:stop])
        start = stop
