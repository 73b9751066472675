"""Tables with one row a category, to which a query adds rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CategoryTable", "Extendable"]


class Extendable(nn.Module):
    """Part of a reference that a query can extend: by new categories, or by new latent dimensions."""

    @abstractmethod
    def extend(self, reference: Any) -> None:
        """Take all that ``reference``, the same part for fewer categories or dimensions, has learned."""

    def query_parameters(self) -> Sequence[nn.Parameter]:
        """Return what a query may train while the reference stays as it is."""
        return ()


class CategoryTable(Extendable):
    """One row of parameters a category.

    The rows that a query adds are a parameter of their own: those of the reference are frozen as a whole, out
    of reach of any optimiser and its weight decay.

    Parameters
    ----------
    rows
        Initial values, shape (categories, outputs).
    """

    added: nn.Parameter | None

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows)
        self.register_parameter("added", None)

    @property
    def n_rows(self) -> int:
        """Number of categories; 0 where there is no choice."""
        return self.rows.shape[0] + (0 if self.added is None else self.added.shape[0])

    def forward(self) -> Tensor:
        """All rows, shape (categories, outputs)."""
        return self.rows if self.added is None else torch.cat([self.rows, self.added])

    @torch.no_grad()
    def extend(self, reference: CategoryTable) -> None:
        """Take the rows of a reference, and start those of new categories at their mean.

        A reference with one category has no row. Its row is zero then: its cells are decoded as before.
        """
        n_rows = self.n_rows
        known = reference().to(self.rows.device)
        if n_rows > 1 and not len(known):
            known = torch.zeros_like(self.rows[:1])
        self.rows = nn.Parameter(known.clone())
        n_added = n_rows - len(known)
        self.added = nn.Parameter(known.mean(0).repeat(n_added, 1)) if n_added else None

    def query_parameters(self) -> Sequence[nn.Parameter]:
        """Return the rows of new categories."""
        return () if self.added is None else (self.added,)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Split the table first where a query's was saved; a model is built with tables in one piece."""
        if prefix + "added" in state_dict and self.added is None:
            n_known, rows = len(state_dict[prefix + "rows"]), self.rows.detach()
            self.rows = nn.Parameter(rows[:n_known].clone(), requires_grad=self.rows.requires_grad)
            self.added = nn.Parameter(rows[n_known:].clone())
        super()._load_from_state_dict(state_dict, prefix, *args)
