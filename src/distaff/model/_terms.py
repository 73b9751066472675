"""Terms of an annotated model: those of the reference, and those that queries added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from anndata import AnnData

from distaff._checks import check_int
from distaff.model._annotation import Annotation
from distaff.nn.terms import Terms

__all__ = ["TermBlock", "term_names"]

REGISTRY_KEY = "distaff_new_terms"


@dataclass(frozen=True)
class TermBlock:
    """Terms that came together: gene sets, then sparse, then dense ones.

    Parameters
    ----------
    annotation
        Gene sets and their names.
    n_sparse
        Number of sparse factors.
    n_dense
        Number of dense factors.
    """

    annotation: Annotation
    n_sparse: int = 0
    n_dense: int = 0

    @classmethod
    def of(
        cls, adata: AnnData, genes: np.ndarray, *, new_set_key: str | None, n_sparse: int, n_dense: int
    ) -> Self:
        """Read what a query brings; its gene sets become sets of the model's ``genes``."""
        n_sparse = check_int("n_new_sparse", n_sparse, minimum=0)
        n_dense = check_int("n_new_dense", n_dense, minimum=0)
        annotation = Annotation([], np.zeros((len(genes), 0), dtype=np.float32))
        if new_set_key is not None:
            annotation = Annotation.of(adata, None, new_set_key, argument="new_set_key")
            mask, positions = annotation.mask, adata.var_names.get_indexer(genes)
            mask = np.where(positions[:, None] < 0, np.float32(0), mask[positions])
            annotation = replace(annotation, mask=mask).checked(new_set_key, of=" of the model")
        return cls(annotation, n_sparse, n_dense)

    @classmethod
    def stored(cls, registry: dict[str, Any] | None) -> tuple[Self, ...]:
        """Return the terms of each query on the way from the first reference to this model."""
        blocks = (registry or {}).get(REGISTRY_KEY, [])
        return tuple(
            cls(Annotation.read(block["gene_sets"]), block["n_sparse"], block["n_dense"]) for block in blocks
        )

    @staticmethod
    def entry(blocks: Sequence[TermBlock]) -> dict[str, Any]:
        """Entry of a registry with the terms of all queries, as plain values."""
        plain = [
            {"gene_sets": block.annotation.plain(), "n_sparse": block.n_sparse, "n_dense": block.n_dense}
            for block in blocks
        ]
        return {REGISTRY_KEY: plain}

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return len(self.annotation.names) + self.n_sparse + self.n_dense

    @property
    def kinds(self) -> list[str]:
        """Kind of each factor."""
        return (
            ["annotated"] * len(self.annotation.names) + ["sparse"] * self.n_sparse + ["dense"] * self.n_dense
        )

    def part(self) -> Terms:
        """Return what the decoder reads."""
        return Terms(torch.tensor(self.annotation.mask), self.n_sparse, self.n_dense)


def term_names(blocks: Sequence[TermBlock]) -> list[str]:
    """Names of all factors in order; those without annotation are counted on from block to block."""
    counts: Counter[str] = Counter()
    names = []
    for block in blocks:
        names += block.annotation.names
        for kind, n in (("Sparse", block.n_sparse), ("Dense", block.n_dense)):
            names += [f"{kind} {counts[kind] + i + 1}" for i in range(n)]
            counts[kind] += n
    return names
