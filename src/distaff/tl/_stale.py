"""Results that a change of latent or loadings leaves behind: they would pass for those of the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distaff._keys import Slots

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BASIC", "drop_of_latent", "drop_of_loadings"]

BASIC = ["kind", "active", "kl"]  # columns of the factor table that do not depend on loadings
OF_LATENT = (
    Slots.disentanglement,
    Slots.cluster_agreement,
    Slots.rank_factors,
    Slots.enrich,
    Slots.traversed,
    Slots.consensus,
    Slots.consensus_members,
    Slots.consensus_correlation,
)


def drop_of_latent(adata: AnnData, slots: Slots) -> None:
    """Remove what was computed from the latent under this key."""
    for name in (slots.umap, slots.tsne, slots.inclusion):
        if name in adata.obsm:
            del adata.obsm[name]
    adata.varm.pop(slots.traversal, None)
    _drop_entries(adata, slots, OF_LATENT)


def drop_of_loadings(adata: AnnData, slots: Slots) -> None:
    """Remove what was computed from the loadings under this key, in the table of factors too."""
    entry = adata.uns.get(slots.uns)
    if not isinstance(entry, Mapping):
        return
    tested = entry.get(Slots.enrich)
    if tested is not None and tested["params"]["use_loadings"] == slots.loadings:
        _drop_entries(adata, slots, (Slots.enrich,))
    table = entry.get(Slots.factors)
    if table is not None and set(BASIC) <= set(table):
        adata.uns[slots.uns] = {**adata.uns[slots.uns], Slots.factors: table[BASIC]}


def _drop_entries(adata: AnnData, slots: Slots, names: tuple[str, ...]) -> None:
    entry = adata.uns.get(slots.uns)
    if isinstance(entry, Mapping):
        adata.uns[slots.uns] = {name: value for name, value in entry.items() if name not in names}
