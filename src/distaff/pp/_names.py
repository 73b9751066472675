"""Names of genes: unique ones, and hints when two lists of names do not meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import pandas as pd

from distaff._checks import error, listing

__all__ = ["check_unique", "column_hint", "naming_hint"]

ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?$", re.IGNORECASE)


def check_unique(names: pd.Index, subject: str, *, fix: str = "") -> None:
    """Check that no name appears twice."""
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        got = f"{len(repeated)} repeated gene names: {listing(repeated)}"
        raise error(f"{subject} must be unique", got=got, fix=fix)


def naming_hint(genes: Collection[str], var_names: Collection[str], *, of: str, if_case: str) -> str:
    """Why few names of ``genes`` are in ``var_names``; empty if there is no sign of a reason.

    ``of`` says whose genes they are; ``if_case`` is the advice where only case differs.
    """
    wanted, have = set(genes), set(var_names)
    matched = len(wanted & have)
    ours, theirs = _are_ensembl(have), _are_ensembl(wanted)
    if ours != theirs:
        subjects = ("adata.var_names look", f"those of {of} do")
        if theirs:
            subjects = (f"The names of {of} look", "adata.var_names do")
        return f"{subjects[0]} like Ensembl ids, {subjects[1]} not: use one kind of name in both."
    if ours and _n_common(wanted, have, _without_version) > 2 * matched:
        return "The Ensembl ids differ in their versions (the part after the dot): remove it from both."
    folded = _n_common(wanted, have, str.casefold)
    if folded > 2 * matched:
        return f"{folded} names differ in upper and lower case only: {if_case}"
    return ""


def column_hint(genes: Collection[str], var: pd.DataFrame) -> str:
    """Which column of ``var`` has these names of genes, where its index has hardly any; empty if none has."""
    wanted = set(genes)
    found = {
        column: len(wanted.intersection(var[column].dropna().astype(str)))
        for column in var.columns[~var.columns.duplicated(keep=False)]
        if not pd.api.types.is_numeric_dtype(var[column].dtype)
    }
    best = max(found, key=lambda column: found[column], default=None)
    if best is None or found[best] <= 2 * len(wanted.intersection(var.index)):
        return ""
    return (
        f"adata.var[{best!r}] has {found[best]} of them: before setup_anndata, set adata.var_names = "
        f"adata.var[{best!r}].astype(str) and run adata.var_names_make_unique()."
    )


def _n_common(a: Collection[str], b: Collection[str], change: Callable[[str], str]) -> int:
    return len({change(name) for name in a} & {change(name) for name in b})


def _without_version(name: str) -> str:
    return name.partition(".")[0]


def _are_ensembl(names: Collection[str]) -> bool:
    return sum(ENSEMBL.match(name) is not None for name in names) > len(names) / 2
