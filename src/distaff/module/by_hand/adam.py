"""Adam's step on arrays, with torch's optimiser as the owner of the state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from distaff.nn.layers import CovariateShift
from distaff.ops.csr import CSR
from distaff.ops.kernels.adam import adam_flat, adam_sparse_rows

__all__ = ["Adam", "Parameter", "step_tables"]


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
        self.tensor, *_ = seen = [t.t() if transposed else t for t in tensors]
        self.value, self.first, self.second = (t.numpy() for t in seen)
        self.flat = [array.reshape(-1) for array in (self.value, self.first, self.second)]
        self.count = state["step"].numpy()

    def is_contiguous(self) -> bool:
        """Whether the loops can change it where it is."""
        return all(array.flags.c_contiguous for array in (self.value, self.first, self.second))

    def step(self, gradient: np.ndarray) -> None:
        """Take the step for a gradient of the shape of ``value``."""
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

    def constants(self, count: float) -> tuple[float, ...]:
        """Rate over the first bias, betas, eps, decay, root of the second bias after ``count`` steps."""
        if count not in self.known:
            group = self.optimiser.param_groups[0]
            beta1, beta2 = group["betas"]
            rate = float(group["lr"]) / (1.0 - beta1**count)
            root = (1.0 - beta2**count) ** 0.5
            self.known[count] = rate, beta1, beta2, group["eps"], group["weight_decay"], root
        return self.known[count]


def step_tables(tables: list[Parameter], gradient: np.ndarray) -> None:
    """Take the steps of tables whose gradients lie one below the other, (rows of all, columns)."""
    start = 0
    for table in tables:
        stop = start + len(table.value)
        table.step(gradient[start:stop])
        start = stop
