"""Give factors other names, everywhere they are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distaff._checks import check_adata, check_column_names, check_flag, error, factor_order, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import factor_table

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["rename_factors"]

BY_DIMENSION = ("matrices", "dimensions")  # tables of tl.disentanglement with a row a dimension


def rename_factors(
    adata: AnnData, names: Mapping[str, str] | Sequence[str], *, key: str = DEFAULT_KEY, copy: bool = False
) -> AnnData | None:
    """Give factors other names, such as those of the programs they turned out to be.

    The model keeps its own names. :func:`~distaff.tl.latent`, :func:`~distaff.tl.loadings` and
    :func:`~distaff.tl.traverse` of the same model take those in ``adata``.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`~distaff.tl.latent` or :func:`~distaff.tl.factors`.
    names
        New name of each factor to rename, or a list of the names of all in their order. A factor that was
        renamed also answers to the name that the model gives it.
    key
        Prefix of the slots.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes the names in

    - ``uns["{key}"]["factors"]``: its rows
    - ``uns["{key}"]["kl_per_dimension"]``, ``varm["{key}_loadings"]`` and ``obsm["X_{key}"]``: their columns,
      where they are DataFrames
    - ``uns["{key}"]["disentanglement"]``: dimensions, where that latent was scored
    - ``uns["{key}"]["rank_factors"]``, ``uns["{key}"]["enrich"]``, ``uns["{key}"]["traversal"]`` and
      ``varm["{key}_traversal"]``: factors, where they are of that latent and those loadings
    - ``uns["{key}"]["consensus"]`` and ``uns["{key}"]["consensus_members"]``: consensus factors

    Raises
    ------
    KeyError
        If there is no table of factors, or no factor of a name.
    TypeError
        If a name is no string.
    ValueError
        If names are empty, hold "/", which opens a folder in files, or are given twice; if one that stays or
        comes is none that files can hold ("_index"); if a list has another length; or if the loadings are of
        other factors.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> tl.factors(adata)
    >>> tl.rename_factors(adata, {"Factor 2": "cell cycle"})
    >>> list(adata.uns["distaff"]["factors"].index)
    ['Factor 1', 'cell cycle', 'Factor 3']
    """
    check_flag("copy", copy)
    check_adata(adata)
    slots = Slots(key)
    table = factor_table(adata, slots)
    if table is None:
        raise error(
            f"adata.uns[{key!r}] must hold 'factors'",
            got="nothing",
            fix=f"Run distaff.tl.factors(adata, key={key!r}) first.",
            kind=KeyError,
        )
    old = [str(name) for name in table.index]
    new = _new_names(old, names, _given_by_model(adata, slots, old))
    changed = dict(zip(old, new, strict=True))
    # all is worked out before anything is written: an error leaves adata as it was
    entry = {**adata.uns[slots.uns], Slots.factors: table.set_axis(new)}
    kl = entry.get(Slots.kl_per_dimension)
    if kl is not None and kl.shape[1] == len(old):  # a prior of all dimensions together has one KL
        entry[Slots.kl_per_dimension] = _renamed(kl, old, new, "kl_per_dimension")
    scores = entry.get(Slots.disentanglement)
    if isinstance(scores, Mapping) and scores.get("params", {}).get("use_rep") == slots.latent:
        entry[Slots.disentanglement] = _renamed_scores(scores, changed)
    entry = {**entry, **_renamed_tests(entry, slots, changed), **_renamed_consensus(entry, changed)}
    stored = (("varm", slots.loadings), ("varm", slots.traversal), ("obsm", slots.latent))
    tables = {
        (axis, slot): _renamed(getattr(adata, axis)[slot], old, new, slot)
        for axis, slot in stored
        if slot in getattr(adata, axis)
    }
    adata = adata.copy() if copy else adata
    adata.uns[slots.uns] = entry
    for (axis, slot), value in tables.items():
        if isinstance(value, pd.DataFrame):
            getattr(adata, axis)[slot] = value
    return adata if copy else None


def _given_by_model(adata: AnnData, slots: Slots, names: list[str]) -> dict[str, str]:
    """What factors are called now, by the names that the model gives them."""
    own = [str(name) for name in adata.uns[slots.uns].get(Slots.model_names, ())]
    return dict(zip(own, names, strict=True)) if len(own) == len(names) else {}


def _new_names(
    old: list[str], names: Mapping[str, str] | Sequence[str], given_by_model: Mapping[str, str]
) -> list[str]:
    """Names of all factors in their order, checked."""
    if isinstance(names, str) or not isinstance(names, Mapping | Sequence):
        raise error("names must be a dict or a list", got=repr(names), kind=TypeError)
    if isinstance(names, Mapping):
        given_names = [name if name in old else given_by_model.get(name, name) for name in names]
        twice = [name for name in dict.fromkeys(given_names) if given_names.count(name) > 1]
        if twice:
            raise error("names must name a factor once", got=f"two names of {listing(twice)}")
        names = dict(zip(given_names, names.values(), strict=True))
        unknown = [name for name in names if name not in old]
        if unknown:
            raise error(
                "names must be of factors",
                got=listing(unknown),
                fix=f"There are {listing(old)}.",
                kind=KeyError,
            )
    elif len(names) != len(old):
        raise error(f"names must name all {len(old)} factors", got=f"{len(names)} names")
    new = [names.get(name, name) for name in old] if isinstance(names, Mapping) else list(names)
    given = list(names.values()) if isinstance(names, Mapping) else new
    for name in given:
        if not isinstance(name, str):
            raise error("A name must be a string", got=repr(name), kind=TypeError)
        if not name.strip() or "/" in name:
            raise error('A name must hold a letter and no "/", which opens a folder in files', got=repr(name))
    twice = [name for name in dict.fromkeys(new) if new.count(name) > 1]
    if twice:
        raise error("Names of factors must differ", got=f"{listing(twice)} more than once")
    check_column_names("Names of factors", new, fix="Give those others.")
    return new


def _renamed(table: Any, old: list[str], new: list[str], name: str) -> Any:
    """Table with the new names as columns; what is no DataFrame has none."""
    if not isinstance(table, pd.DataFrame):
        return table
    columns = list(table.columns)
    for place, title in zip(factor_order(columns, old, name=name), new, strict=True):
        columns[place] = title
    return table.set_axis(columns, axis=1)


def _renamed_tests(entry: Mapping[str, Any], slots: Slots, changed: dict[str, str]) -> dict[str, Any]:
    """Results of tests and traversals with the new names, those that are of this latent or its loadings."""
    result = {}
    sources = {Slots.rank_factors: ("use_rep", slots.latent), Slots.enrich: ("use_loadings", slots.loadings)}
    for part, (argument, source) in sources.items():
        if isinstance(entry.get(part), Mapping) and entry[part]["params"][argument] == source:
            table = entry[part]["table"]
            names = [changed.get(name, name) for name in table["factor"]]
            result[part] = {**entry[part], "table": table.assign(factor=names)}
    if Slots.traversed in entry:
        ends = entry[Slots.traversed]["range"].rename(index=changed)
        result[Slots.traversed] = {**entry[Slots.traversed], "range": ends}
    return result


def _renamed_consensus(entry: Mapping[str, Any], changed: dict[str, str]) -> dict[str, Any]:
    """Tables of the consensus with the new names; members keep those of their run."""
    if Slots.consensus not in entry:
        return {}
    members = entry[Slots.consensus_members]
    names = [changed.get(name, name) for name in members["consensus"]]
    return {
        Slots.consensus: entry[Slots.consensus].rename(index=changed),
        Slots.consensus_members: members.assign(consensus=names),
    }


def _renamed_scores(scores: Mapping[str, Any], changed: dict[str, str]) -> dict[str, Any]:
    """Scores with the new names of dimensions; known factors keep theirs."""
    result = dict(scores)
    result["best_dimension"] = scores["best_dimension"].map(lambda name: changed.get(name, name))
    for part in BY_DIMENSION:
        result[part] = {metric: table.rename(index=changed) for metric, table in scores.get(part, {}).items()}
    if "latent_correlation" in scores:
        table = scores["latent_correlation"].rename(index=changed)
        result["latent_correlation"] = table.set_axis(table.index, axis=1)
    return result
