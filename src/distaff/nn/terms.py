"""Factors of an annotated decoder, and what each of them costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """Factors annotated with gene sets, then sparse, then dense ones.

    Parameters
    ----------
    mask
        Gene sets, shape (genes, sets); non-zero where a gene is in the set.
    n_sparse
        Number of factors without annotation, under an L1 penalty.
    n_dense
        Number of factors without annotation or L1 penalty.
    """

    mask: Tensor
    n_sparse: int = 0
    n_dense: int = 0

    @property
    def n_factors(self) -> int:
        """Number of all factors."""
        return self.mask.shape[1] + self.n_sparse + self.n_dense

    def inside(self) -> Tensor:
        """1 where a gene belongs to a factor, else 0, shape (genes, factors)."""
        free = torch.ones(len(self.mask), self.n_sparse + self.n_dense)
        return torch.cat([(self.mask != 0).float(), free], dim=1)

    def l1(self, off_mask: float, sparse: float) -> Tensor:
        """Strength of the L1 penalty of each loading, shape (genes, factors)."""
        n_genes = len(self.mask)
        columns = [
            (self.mask == 0) * off_mask,
            torch.full((n_genes, self.n_sparse), float(sparse)),
            torch.zeros(n_genes, self.n_dense),
        ]
        return torch.cat(columns, dim=1).float()

    def group(self, strength: float) -> Tensor:
        """Strength of the group lasso of each factor, shape (factors,)."""
        free = torch.zeros(self.n_sparse + self.n_dense)
        return torch.cat([torch.full((self.mask.shape[1],), float(strength)), free])
