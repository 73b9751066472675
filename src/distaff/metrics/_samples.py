"""Other data to score beside the given ones: random latents, shuffled labels, halves of the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff.metrics._contract import constant_columns
from distaff.metrics._factors import Factor

__all__ = ["Cells", "Sample"]

Sample = tuple[NDArray[np.float64], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Cells:
    """A latent and its factors, from which samples are made; each method takes the seed of one.

    Parameters
    ----------
    Z
        (cells, dimensions)
    factors
        Parsed factors.
    Y
        (cells, factors) the same as a table, with positions as index.
    """

    Z: NDArray[np.float64]
    factors: list[Factor]
    Y: pd.DataFrame

    @classmethod
    def of(cls, Z: NDArray[np.float64], factors: list[Factor]) -> Cells:
        """Build the table of the factors."""
        columns = {
            factor.name: pd.Categorical.from_codes(factor.values, categories=list(factor.classes))
            if factor.classes
            else factor.values
            for factor in factors
        }
        return cls(Z, factors, pd.DataFrame(columns))

    def noise(self, seed: np.random.SeedSequence) -> Sample:
        """Independent normal dimensions in place of those that vary, zeros for the constant ones."""
        Z = np.random.default_rng(seed).normal(size=self.Z.shape)
        Z[:, constant_columns(self.Z)] = 0.0
        return Z, self.Y

    def shuffled(self, seed: np.random.SeedSequence) -> Sample:
        """Labels shuffled over the cells that have one, all factors in the same way."""
        order = np.random.default_rng(seed).permutation(len(self.Z))
        columns = {
            factor.name: self.Y[factor.name].array.take(_within(order, factor.labelled))
            for factor in self.factors
        }
        return self.Z, pd.DataFrame(columns)

    def half(self, seed: np.random.SeedSequence) -> Sample:
        """Half of the cells, drawn without replacement."""
        n = len(self.Z)
        rows = np.sort(np.random.default_rng(seed).choice(n, size=n // 2, replace=False))
        return self.Z[rows], self.Y.iloc[rows].reset_index(drop=True)


def _within(order: NDArray[np.int64], labelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Permutation ``order`` restricted to some cells: follow it until it comes back to one of them.

    The result is as random as ``order``, and moves most cells as it does, so that factors with few missing
    labels stay together.
    """
    if labelled.all():
        return order
    target = order.copy()
    outside = labelled & ~labelled[target]
    while outside.any():
        target[outside] = order[target[outside]]
        outside = labelled & ~labelled[target]
    return np.where(labelled, target, np.arange(len(order)))
