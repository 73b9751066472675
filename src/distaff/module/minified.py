"""Posteriors as data: what is kept of a cell when its counts are dropped."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, Normal

from distaff._checks import error
from distaff.nn.spike_slab import SpikeSlab

__all__ = ["pack", "unpack"]


def pack(q: Distribution) -> tuple[Tensor, Tensor, Tensor | None]:
    """Parameters of ``q(u | x)``: mean and variance, and for a spike and slab the logit of the gate."""
    if isinstance(q, SpikeSlab):
        return q.loc, q.scale.square(), q.logits
    if isinstance(q, Normal):
        return q.loc, q.scale.square(), None
    raise error(
        "The posterior must be normal or a spike and slab to minify data",
        got=type(q).__name__,
        kind=TypeError,
    )


def unpack(qzm: Tensor, qzv: Tensor, gate_logits: Tensor | None = None) -> Normal | SpikeSlab:
    """Posterior with the parameters that :func:`pack` gave."""
    if gate_logits is None:
        return Normal(qzm, qzv.sqrt(), validate_args=False)
    return SpikeSlab(qzm, qzv.sqrt(), gate_logits)
