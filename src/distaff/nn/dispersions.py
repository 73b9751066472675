"""Inverse dispersion theta (NB) or standard deviation (normal) of each gene."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates
from distaff.nn.tables import CategoryTable

__all__ = [
    "AbstractDispersion",
    "CellDispersion",
    "FixedDispersion",
    "GeneDispersion",
    "GroupDispersion",
]


class AbstractDispersion(nn.Module):
    """A positive parameter, broadcastable to (cells, genes); ``heads`` names what it reads of the decoder."""

    heads: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, heads: dict[str, Tensor], covariates: Covariates) -> Tensor:
        """Positive values, (genes,) or (..., cells, genes)."""

    def by_group(self, covariates: Covariates) -> Tensor | tuple[Tensor, Tensor] | None:
        """Values (genes,), or values (groups, genes) with the group of each cell; None if cells differ."""
        del covariates
        return None


class GeneDispersion(AbstractDispersion):
    """One value a gene.

    Parameters
    ----------
    n_genes
        Number of genes.
    """

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        self.log_value = nn.Parameter(torch.randn(n_genes))

    def forward(self, heads: dict[str, Tensor], covariates: Covariates) -> Tensor:
        """Values of shape (genes,)."""
        del heads, covariates
        return self.log_value.exp()

    def by_group(self, covariates: Covariates) -> Tensor:
        """Values of shape (genes,)."""
        del covariates
        return self.log_value.exp()


class GroupDispersion(AbstractDispersion):
    """One value a gene in each batch, or in each label.

    Parameters
    ----------
    n_genes
        Number of genes.
    n_groups
        Number of batches or labels.
    group_of
        Picks the codes, shape (cells, 1), from the covariates.
    """

    def __init__(self, n_genes: int, n_groups: int, group_of: Callable[[Covariates], Tensor | None]) -> None:
        super().__init__()
        self.group_of = group_of
        self.log_value = CategoryTable(torch.randn(n_groups, n_genes))

    def forward(self, heads: dict[str, Tensor], covariates: Covariates) -> Tensor:
        """Values of shape (cells, genes)."""
        del heads
        values, group = self.by_group(covariates)
        return nn.functional.embedding(group, values)

    def by_group(self, covariates: Covariates) -> tuple[Tensor, Tensor]:
        """Values (groups, genes) and the group of each cell."""
        group = self.group_of(covariates)
        if group is None:
            raise ValueError("This dispersion needs the group of each cell, and the minibatch has none.")
        return self.log_value().exp(), group.squeeze(1).long()


class CellDispersion(AbstractDispersion):
    """One value a gene and cell, read from the decoder."""

    heads = ("dispersion",)

    def forward(self, heads: dict[str, Tensor], covariates: Covariates) -> Tensor:
        """Values of shape (..., cells, genes)."""
        del covariates
        return heads["dispersion"].exp()


class FixedDispersion(AbstractDispersion):
    r"""The same value for all genes, not learned.

    As the standard deviation of a normal, :math:`\sqrt{1/2}` makes ``-log p`` the squared error plus a
    constant.

    Parameters
    ----------
    value
        The value.
    """

    value: Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor([value]), persistent=False)

    def forward(self, heads: dict[str, Tensor], covariates: Covariates) -> Tensor:
        """Value of shape (1,)."""
        del heads, covariates
        return self.value
