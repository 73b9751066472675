"""Settings and scores of all latents that one AnnData holds, as a table of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distaff._checks import error, listing, name_list
from distaff._keys import Slots

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["AGREEMENT", "runs_table"]

AGREEMENT = ("ari", "nmi")  # of cluster_agreement, their maxima
VERSIONS = ("distaff_version", "scvi_tools_version")
SOURCES = (Slots.disentanglement, Slots.cluster_agreement)


def runs_table(adata: AnnData, keys: Sequence[str] | None, *, by_factor: bool) -> pd.DataFrame:
    """See :func:`distaff.tl.collect_scores`."""
    entries = {key: _entry(adata, key) for key in _scored_keys(adata, keys)}
    if by_factor:
        rows = [row for key, entry in entries.items() for row in _factor_rows(key, entry)]
    else:
        _check_comparable(entries)
        rows = [{**_settings(key, entry), **_scores(entry)} for key, entry in entries.items()]
    return pd.DataFrame(rows)


def _scored_keys(adata: AnnData, keys: Sequence[str] | None) -> list[str]:
    if isinstance(keys, str) or (keys is not None and not isinstance(keys, Iterable)):
        raise error("keys must be a list of names", got=repr(keys), kind=TypeError)
    if keys is not None:
        return name_list("keys", keys)
    found = [
        str(key)
        for key, entry in adata.uns.items()
        if isinstance(entry, Mapping) and any(source in entry for source in SOURCES)
    ]
    if not found:
        raise error(
            "adata.uns must hold the scores of a latent",
            got=listing(list(adata.uns)) or "nothing",
            fix="Run distaff.tl.disentanglement(adata, factors, key=...) for each latent first.",
            kind=KeyError,
        )
    return found


def _entry(adata: AnnData, key: str) -> Mapping[str, Any]:
    """``uns[key]`` with scores of the latent of this key, and of no other."""
    entry = adata.uns.get(Slots(key).uns)
    if not isinstance(entry, Mapping) or not any(source in entry for source in SOURCES):
        raise error(
            f"adata.uns[{key!r}] must hold scores",
            got=listing(list(entry)) if isinstance(entry, Mapping) else "nothing",
            fix=f"Run distaff.tl.disentanglement(adata, factors, key={key!r}) first.",
            kind=KeyError,
        )
    for source in SOURCES:
        rep = str(entry[source]["params"]["use_rep"]) if source in entry else Slots(key).latent
        if rep != Slots(key).latent:
            raise error(
                f"adata.uns[{key!r}][{source!r}] must be of adata.obsm[{Slots(key).latent!r}]",
                got=f"scores of {rep!r}, which the settings under this key do not describe",
                fix=f"Score without use_rep, or leave {key!r} out of keys.",
            )
    return entry


def _check_comparable(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Means over other factors, or clusters against other labels, are other scores."""
    for source, what in zip(SOURCES, ("factors", "labels"), strict=True):
        seen: dict[tuple[str, ...], str] = {}
        for key, entry in entries.items():
            if source in entry:
                seen.setdefault(_subject(entry[source]), key)
        if len(seen) > 1:
            (one, first), (two, second) = list(seen.items())[:2]
            raise error(
                f"All keys must have {source} scores of the same {what}",
                got=f"{listing(one)} under {first!r}, {listing(two)} under {second!r}",
                fix="Name keys that go together.",
            )


def _subject(scores: Mapping[str, Any]) -> tuple[str, ...]:
    if "scores" in scores:
        return tuple(sorted(map(str, scores["scores"].index)))
    return (str(scores["params"]["label_key"]),)


def _settings(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the model and its seed; a capacity that is not there is off."""
    params = entry.get(Slots.params, {})
    settings = {name: value for name, value in params.items() if name not in VERSIONS}
    if "beta" in settings:
        settings.setdefault("capacity", 0.0)
    first = ("model", "beta", "capacity", "seed")
    ordered = {name: settings[name] for name in first if name in settings}
    return {"key": key, **ordered, **settings}


def _scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """Score of the whole latent by each metric, and the best agreement of its clusters."""
    summary = entry.get(Slots.disentanglement, {}).get("summary", {})
    maxima = entry.get(Slots.cluster_agreement, {}).get("maxima", {})
    scores = {**summary, **{name: maxima[name] for name in AGREEMENT if name in maxima}}
    return {str(name): float(value) for name, value in scores.items()}


def _factor_rows(key: str, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    if Slots.disentanglement not in entry:
        return []
    result = entry[Slots.disentanglement]
    settings = _settings(key, entry)
    return [
        {**settings, "factor": str(result["factors"].loc[name, "label"]), **scores.astype(float).to_dict()}
        for name, scores in result["scores"].iterrows()
    ]
