"""Step of a linear decoder's weights, with the penalties of an annotated one."""

from __future__ import annotations

from typing import Any

import numpy as np

from distaff.module.by_hand.adam import Adam
from distaff.ops import proximal_step
from distaff.ops.kernels.adam import adam_flat
from distaff.ops.kernels.prox import adam_prox_rows
from distaff.ops.kernels.vectors import count_nonzero

__all__ = ["Loadings"]


class Loadings:
    """Weights of a decoder, factor by factor; of a hard mask the entries within it alone.

    Those are held apart from the parameter, in which they lie far from each other; :meth:`store` writes them
    back.

    Parameters
    ----------
    decoder
        Linear or annotated decoder.
    positions
        Which entries of the weights (factors, genes), flat and rising, may be other than zero; None for all.
    adam
        Takes the steps.
    """

    def __init__(self, decoder: Any, positions: np.ndarray | None, adam: Adam) -> None:
        self.own = adam.add(decoder.weights.raw, transposed=True)
        self.positions = positions
        self.held: list[np.ndarray] | None = None
        self.n_known: int | None = None
        penalties = decoder.proximal() if hasattr(decoder, "proximal") else []
        self.penalty = penalties[0] if penalties else None
        if self.penalty is not None and self.penalty.in_metric:
            l1 = self.penalty.l1.t().float().contiguous().numpy().reshape(-1)
            strengths = l1 if positions is None else l1[positions]
            n_factors, n_genes = self.own.value.shape
            starts = np.arange(n_factors + 1) * n_genes
            self.starts = starts if positions is None else np.searchsorted(positions, starts)
            self.strengths = strengths, self.penalty.group.float().contiguous().numpy()

    def values(self) -> np.ndarray:
        """Weights, flat: all, or those at the positions."""
        return self._arrays()[0]

    def n_nonzero(self) -> int:
        """Number of weights that are not zero."""
        return count_nonzero(self.values()) if self.n_known is None else self.n_known

    def step(self, gradient: np.ndarray) -> None:
        """Take Adam's step, then that of the penalties, for a gradient in the order of :meth:`values`."""
        value, first, second = self._arrays()
        constants, lr = self.own.constants(), self.own.learning_rate()
        if self.penalty is None or not self.penalty.in_metric:
            adam_flat(value, gradient, first, second, *constants)
        else:
            state = self.starts, value, gradient, first, second
            self.n_known = adam_prox_rows(*state, *constants, *self.strengths, lr)
        if self.penalty is not None and not self.penalty.in_metric:
            self.store()
            proximal_step(self.penalty.weight, l1=self.penalty.l1, group=self.penalty.group, lr=lr)

    def store(self) -> None:
        """Write what is held apart back to the parameter and its moments; others may change them now."""
        self.n_known = None
        if self.held is not None:
            for flat, held in zip(self.own.flat, self.held, strict=True):
                flat[self.positions] = held
            self.held = None

    def _arrays(self) -> list[np.ndarray]:
        """Values and moments."""
        if self.positions is None:
            return self.own.flat
        if self.held is None:
            self.held = [flat[self.positions] for flat in self.own.flat]
        return self.held
