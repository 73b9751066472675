"""Latent dimensions that a query adds to those of its reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from distaff.nn.tables import Extendable

__all__ = ["Added", "GrowingLinear"]


class Added(Extendable):
    """One parameter a query in the chain that leads from a reference to this model; the last is its own.

    Parameters
    ----------
    blocks
        Initial values; empty ones for a query that added nothing.
    """

    def __init__(self, blocks: Iterable[Tensor] = ()) -> None:
        super().__init__()
        for i, block in enumerate(blocks):
            self.register_parameter(f"query_{i}", nn.Parameter(block))

    def __iter__(self) -> Iterator[nn.Parameter]:
        return iter(self._parameters.values())  # type: ignore[arg-type] # none is None; parameters() is slow

    @torch.no_grad()
    def extend(self, reference: Added) -> None:
        """Take all blocks of the reference."""
        for own, known in zip(self, reference, strict=False):  # this query's is not among them
            own.copy_(known)

    def query_parameters(self) -> Sequence[nn.Parameter]:
        """Return the block of this query, unless it is empty."""
        return [block for block in list(self)[-1:] if block.numel()]


class GrowingLinear(nn.Linear):
    """Linear layer to whose outputs queries add some.

    Each query's are computed on their own: the others come out the same to the last bit. They start at zero.

    Parameters
    ----------
    n_in
        Number of features.
    n_out
        Number of all outputs.
    n_added
        How many of them each query added.
    """

    def __init__(self, n_in: int, n_out: int, n_added: Sequence[int] = ()) -> None:
        super().__init__(n_in, n_out - sum(n_added))
        self.added_weight = Added(torch.zeros(n, n_in) for n in n_added)
        self.added_bias = Added(torch.zeros(n) for n in n_added)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., n_in) to (..., n_out)."""
        outputs = [super().forward(x)]
        for weight, bias in zip(self.added_weight, self.added_bias, strict=True):
            outputs.append(nn.functional.linear(x, weight, bias))
        return torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
