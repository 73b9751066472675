"""Loss of a minibatch, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["MinibatchLoss"]


@dataclass(frozen=True)
class MinibatchLoss:
    """Loss of a minibatch, and what it is made of.

    Parameters
    ----------
    loss
        Scalar that is optimised, nats a cell.
    reconstruction
        ``-log p(x | z)``, shape (cells,), nats.
    kl
        True KL of the latent by dimension, whatever the objective weighs, shape (cells, dimensions), nats.
    kl_library
        KL of the library size, shape (cells,), nats.
    parts
        Contribution of each term, shape (cells,) or a scalar; their means add up to ``loss``. No gradient.
    location
        Stand-in for the latent representation, shape (cells, dimensions). No gradient.
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor
    kl_library: Tensor
    parts: dict[str, Tensor]
    location: Tensor

    def detached(self) -> MinibatchLoss:
        """Return the same numbers without what gradients would need."""
        if not self.loss.requires_grad:
            return self
        return MinibatchLoss(
            self.loss.detach(),
            self.reconstruction.detach(),
            self.kl.detach(),
            self.kl_library.detach(),
            self.parts,
            self.location,
        )
