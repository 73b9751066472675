"""The table of factors and the scores that a model card shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from distaff import tl
from distaff._keys import Slots
from distaff.tl._factor_table import factor_table as table_of_model
from distaff.tl._names import same_factors, stored_names
from distaff.tl._representation import factor_table as stored_table
from distaff.tl._stale import BASIC

__all__ = ["Description", "describe"]

N_TOP = 5  # genes to name of a factor


@dataclass(frozen=True)
class Description:
    """What is known of the factors.

    Parameters
    ----------
    factors
        One row a factor, ranked.
    scores
        Scores (metrics, columns); None without any.
    scored
        What was scored.
    """

    factors: pd.DataFrame
    scores: pd.DataFrame | None = None
    scored: tuple[str, ...] = ()


def describe(model: Any, key: str) -> Description:
    """Factors under the names that the user gave, and scores that the data hold; nothing of them is changed.

    A model without data has no latent to rank by: only the names and kinds of its factors are told.
    """
    if model.adata is None:
        names = pd.Index(list(model.factor_names))
        return Description(pd.DataFrame({"kind": list(model.factor_kinds)}, index=names))
    adata, slots = model.adata, Slots(key)
    Z = np.asarray(model.get_latent_representation(), dtype=np.float32)
    own = same_factors(adata.obsm.get(slots.latent), Z)
    own = own and stored_names(adata, model, slots, Z.shape[1]) is not None
    cells = _described(model, slots, Z, own=own)
    tl.factors(cells, key=key, n_top=N_TOP)
    table: pd.DataFrame = cells.uns[key][Slots.factors]
    moved = adata.varm.get(slots.traversal)
    if own and "top_genes" not in table and isinstance(moved, pd.DataFrame):
        top = {str(name): ", ".join(column.nlargest(N_TOP).index) for name, column in moved.items()}
        table["top_genes"] = [top.get(str(name), "") for name in table.index]
    table = table.sort_values("rank", kind="stable")
    return Description(table, *(_scores(adata.uns[key], slots) if own else ()))


def _described(model: Any, slots: Slots, Z: NDArray[np.float32], *, own: bool) -> AnnData:
    """Cells with latent, loadings and what the model says of its factors, and nothing else."""
    stored = stored_table(model.adata, slots) if own else None
    if stored is not None and set(BASIC) <= set(stored):
        table = stored[BASIC].copy()
    else:
        table = table_of_model(model, model.adata, Z)
    terms = model.get_terms() if hasattr(model, "get_terms") else pd.DataFrame()
    for column in ("direction", "n_genes"):
        if column in terms:
            table[column] = terms[column].to_numpy()
    var = pd.DataFrame(index=pd.Index(model.get_var_names()))
    cells = AnnData(obs=pd.DataFrame(index=model.adata.obs_names), var=var)
    cells.obsm[slots.latent] = Z
    cells.uns[slots.uns] = {Slots.factors: table}
    if getattr(model, "has_loadings", True):
        cells.varm[slots.loadings] = model.get_loadings().set_axis(table.index, axis=1)
    return cells


def _scores(entry: Mapping[str, Any], slots: Slots) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Scores of this latent in ``uns``, and what was scored."""
    rows: dict[str, dict[str, float]] = {}
    labels: list[str] = []
    scored = entry.get(Slots.disentanglement)
    if isinstance(scored, Mapping) and str(scored["params"]["use_rep"]) == slots.latent:
        means = scored.get("means", pd.DataFrame())
        for name, value in scored["summary"].items():
            more = means.loc[name] if name in means.index else {}
            rows[str(name)] = {"score": value, **{c: more[c] for c in ("noise", "ceiling") if c in more}}
        labels += [str(label) for label in scored["factors"]["label"]]
    clusters = entry.get(Slots.cluster_agreement)
    if isinstance(clusters, Mapping):
        rows |= {f"clusters: {name}": {"score": value} for name, value in clusters["maxima"].items()}
        labels.append(str(clusters["params"]["label_key"]))
    if not rows:
        return None, ()
    return pd.DataFrame.from_dict(rows, orient="index").astype(float), tuple(dict.fromkeys(labels))
