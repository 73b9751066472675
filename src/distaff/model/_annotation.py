"""Gene sets of an annotated decoder: from AnnData at first, from the registry of a saved model later."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from distaff._checks import check_name, error, listing

__all__ = ["Annotation"]

REGISTRY_KEY = "distaff_gene_sets"


@dataclass(frozen=True)
class Annotation:
    """Gene sets and their names.

    Parameters
    ----------
    names
        Names of the sets.
    mask
        Weights, shape (genes, sets); non-zero where a gene is in the set.
    provenance
        ``source`` and ``sha256`` that :func:`~distaff.pp.gene_sets` wrote of them; None for sets of other
        origin.
    """

    names: list[str]
    mask: np.ndarray
    provenance: dict[str, str] | None = None

    @classmethod
    def of(
        cls,
        adata: AnnData | None,
        registry: dict[str, Any] | None,
        set_key: str,
        *,
        argument: str = "set_key",
    ) -> Annotation:
        """Read the sets of a saved model, or those of ``adata.varm[set_key]``."""
        if registry is not None and REGISTRY_KEY in registry:
            return cls.read(registry[REGISTRY_KEY])
        if adata is None or not isinstance(set_key, str) or set_key not in adata.varm:
            have = "none" if adata is None else listing(list(adata.varm)) or "none"
            raise error(
                f"{argument} must name a table of gene sets in adata.varm",
                got=repr(set_key),
                fix=f"Run distaff.pp.gene_sets first; there are {have}.",
                kind=KeyError,
            )
        table = adata.varm[set_key]
        mask = _weights(table, f"adata.varm[{set_key!r}]")
        unnamed = [f"Set {i + 1}" for i in range(mask.shape[1])]
        names = [str(name) for name in getattr(table, "columns", unnamed)]
        found = cls(names, mask, _provenance(adata, set_key)).checked(set_key)
        _warn_of_small_sets(found, adata, set_key)
        return found

    def checked(self, set_key: str, *, of: str = "") -> Annotation:
        """Return itself if every set has a gene and weights are finite; ``of`` says which genes count."""
        empty = [name for name, n in zip(self.names, (self.mask != 0).sum(axis=0), strict=True) if n == 0]
        if empty or not self.names:
            raise error(
                f"Every gene set of adata.varm[{set_key!r}] must have genes{of}",
                got=f"{len(empty)} empty sets: {listing(empty)}" if empty else "no sets",
                fix="Run distaff.pp.gene_sets on these genes.",
            )
        repeated = pd.Index(self.names)[pd.Index(self.names).duplicated()].unique()
        if len(repeated):
            got = f"{listing(repeated)} more than once"
            raise error(f"Gene sets of adata.varm[{set_key!r}] must have names of their own", got=got)
        if not np.isfinite(self.mask).all():
            raise error(f"adata.varm[{set_key!r}] must be finite", got="missing or infinite weights")
        return self

    def entry(self) -> dict[str, Any]:
        """Entry of a registry, which is saved with the model."""
        return {REGISTRY_KEY: self.plain()}

    def plain(self) -> dict[str, Any]:
        """Sets as plain values."""
        genes, sets = np.nonzero(self.mask)
        known = {} if self.provenance is None else {"provenance": dict(self.provenance)}
        return {
            "names": list(self.names),
            "shape": list(self.mask.shape),
            "genes": genes.tolist(),
            "sets": sets.tolist(),
            "weights": self.mask[genes, sets].tolist(),
            **known,
        }

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Annotation:
        """Sets that :meth:`plain` gave."""
        mask = np.zeros(stored["shape"], dtype=np.float32)
        mask[stored["genes"], stored["sets"]] = stored["weights"]
        names = [check_name("The name of a gene set", name) for name in stored["names"]]
        return cls(names, mask, stored.get("provenance"))


def _provenance(adata: AnnData, set_key: str) -> dict[str, str] | None:
    """Where ``pp.gene_sets`` took the sets from; of a file its name, as folders may name people."""
    entry = adata.uns.get(set_key)
    if not isinstance(entry, Mapping) or not {"source", "sha256"} <= entry.keys():
        return None
    return {"source": PurePath(str(entry["source"])).name, "sha256": str(entry["sha256"])}


def _warn_of_small_sets(sets: Annotation, adata: AnnData, set_key: str) -> None:
    """Say that genes went after the sets were stored, such as by a choice of variable ones."""
    entry = adata.uns.get(set_key)
    limits = entry.get("parameters") if isinstance(entry, Mapping) else None
    if not isinstance(limits, Mapping) or "min_genes" not in limits:
        return
    sizes = (sets.mask != 0).sum(axis=0)
    small = [name for name, n in zip(sets.names, sizes, strict=True) if n < limits["min_genes"]]
    if small:
        message = error(
            f"Gene sets of adata.varm[{set_key!r}] should have {limits['min_genes']} genes or more, as when "
            "they were stored",
            got=f"fewer for {len(small)} of {len(sets.names)}: {listing(small)}",
            fix="Run distaff.pp.gene_sets on these genes.",
        )
        warnings.warn(str(message), UserWarning, stacklevel=2)


def _weights(table: Any, place: str) -> np.ndarray:
    """Weights (genes, sets) float32, a copy: pandas 3 hands out read-only views."""
    values = table.toarray() if sparse.issparse(table) else table
    try:
        weights = np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as reason:
        raise error(f"{place} must be a table of numbers (genes, sets)", got=f"{reason}") from reason
    if weights.ndim != 2:
        raise error(f"{place} must be a table of numbers (genes, sets)", got=f"shape {weights.shape}")
    return weights
