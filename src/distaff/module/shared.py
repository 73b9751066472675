"""What the objective reads of a minibatch that several processes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from distaff.nn.points import Point
from distaff.nn.spike_slab import SpikeSlab
from distaff.objectives import LossInputs
from distaff.ops import gather_cells, held_part

__all__ = ["with_other_processes"]


PARAMETERS = {Normal: ("loc", "scale"), SpikeSlab: ("loc", "scale", "logits"), Point: ("loc",)}


def with_other_processes(inputs: LossInputs) -> LossInputs:
    """Add the cells of the other processes, in one exchange.

    Each process then computes the loss of the whole minibatch, whatever its terms compare across cells.
    """
    if held_part() is None:
        return inputs
    q: Any = inputs.qz
    own: Any = [inputs.kl, inputs.u, inputs.z, *(getattr(q, name) for name in PARAMETERS[type(q)])]
    own += [inputs.reconstruction.unsqueeze(1), inputs.kl_library.unsqueeze(1)]
    columns = gather_cells(torch.cat(own, dim=1)).split([column.shape[1] for column in own], dim=1)
    kl, u, z, *parameters, reconstruction, kl_library = columns
    return replace(
        inputs,
        reconstruction=reconstruction.squeeze(1),
        kl_library=kl_library.squeeze(1),
        kl=kl,
        u=u,
        z=z,
        qz=_like(q, parameters),
    )


def _like(q: Any, parameters: Sequence[Tensor]) -> Distribution:
    """Posterior of the same kind with these parameters, each (cells, n_latent)."""
    if isinstance(q, Normal):
        loc, scale = parameters
        return Normal(loc, scale, validate_args=False)
    return type(q)(*parameters)
