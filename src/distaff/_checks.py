"""One style for bad input: what is wrong, what was got, how to fix it.

Every message reads ``<subject> must <rule>, got <value>. <fix>``; the subject names the argument,
column, cell or gene.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Hashable, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = [
    "RESERVED",
    "check_adata",
    "check_choice",
    "check_column_names",
    "check_flag",
    "check_hashable",
    "check_int",
    "check_n_jobs",
    "check_name",
    "check_number",
    "check_obs_column",
    "check_path",
    "check_seed",
    "error",
    "factor_order",
    "is_hashable",
    "listing",
    "modelled_genes",
    "name_list",
    "real_values",
    "reason",
]

TOO_LARGE = 2**63  # for arrays and files
MAX_SEED = 2**32 - 1  # of numpy's older generators, which scikit-learn has
MOST_JOBS = 10_000
RESERVED = {"", ".", "..", "_index"}  # of columns in the files of AnnData
MAX_LISTED = 8  # names in a message before it says "and N more"


def error(rule: str, *, got: object, fix: str = "", kind: type[Exception] = ValueError) -> Exception:
    """Build the exception to raise: ``raise error("n_latent must be >= 1", got=0)``."""
    shown = str(got)
    if "\n" in shown:  # a table or an array: messages are one line
        shown = " ".join(shown.split())
    return kind(f"{rule}, got {shown}." + (f" {fix}" if fix else ""))


def reason(problem: BaseException) -> str:
    """What an error says, as part of a sentence."""
    return " ".join(str(problem).split()).rstrip(".")


def listing(names: Collection[object]) -> str:
    """Up to eight names in quotes, then the number of those left out."""
    shown = ", ".join(repr(str(name)) for name in list(names)[:MAX_LISTED])
    left = len(names) - MAX_LISTED
    return f"{shown} and {left} more" if left > 0 else shown


def check_adata(adata: Any, *, name: str = "adata") -> None:
    """Check that ``adata`` is an AnnData, as far as can be told without importing it."""
    if not all(hasattr(adata, slot) for slot in ("obs", "var", "obsm", "varm", "uns", "is_view")):
        raise error(f"{name} must be an AnnData", got=type(adata).__name__, kind=TypeError)


def check_choice(name: str, value: Any, choices: Collection[str]) -> Any:
    """Return ``value`` if it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise error(f"{name} must be one of {listing(choices)}", got=repr(value))
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False: a text such as "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise error(f"{name} must be True or False", got=repr(value), kind=TypeError)
    return bool(value)


def check_int(name: str, value: Any, *, minimum: int | None = None) -> int:
    """Return ``value`` as an ``int`` if it is a whole number of at least ``minimum``."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise error(f"{name} must be an integer", got=repr(value), kind=TypeError)
    number = int(value)
    if minimum is not None and number < minimum:
        raise error(f"{name} must be >= {minimum}", got=number)
    if abs(number) >= TOO_LARGE:
        raise error(f"{name} must be {'< ' if number > 0 else '> -'}2**63", got=number)
    return number


def check_name(name: str, value: Any) -> str:
    """Return ``value`` if it is a text, such as the name of a slot."""
    if not isinstance(value, str):
        raise error(f"{name} must be a text", got=repr(value), kind=TypeError)
    return value


def check_column_names(subject: str, names: Iterable[Any], *, fix: str) -> None:
    """Refuse names that no column of a table in a file can have; ``subject`` is what messages call them."""
    bad = [name for name in map(str, names) if name in RESERVED or "\0" in name or not _is_unicode(name)]
    if bad:
        raise error(f"{subject} must be names that files can hold", got=listing(bad), fix=fix)


def _is_unicode(text: str) -> bool:
    """Whether a text has no half of a character, as a broken conversion leaves it."""
    return text.encode(errors="ignore").decode() == text


def name_list(name: str, value: Any) -> list[Any]:
    """Return one name or several as a list of those that differ; that they exist is for others to check."""
    names = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    wrong = [item for item in names if not isinstance(item, str | Integral)]
    if wrong or isinstance(value, bytes):
        raise error(f"{name} must be a name or a list of names", got=repr(value), kind=TypeError)
    return list(dict.fromkeys(names))


def real_values(name: str, stored: Any) -> np.ndarray:
    """Return an array, sparse matrix or table as dense float64; what is no real number is refused."""
    values = stored.toarray() if hasattr(stored, "toarray") else np.asarray(stored)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64, copy=False)
    try:
        if values.dtype.kind == "O":
            return values.astype(np.float64)
    except (TypeError, ValueError):
        pass  # refused below
    raise error(f"{name} must hold real numbers", got=f"dtype {values.dtype}")


def check_path(name: str, value: Any) -> Path:
    """Return ``value`` as a path if it can be one."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise error(f"{name} must be a path", got=repr(value), kind=TypeError)
    if not text or "\0" in text:
        raise error(f"{name} must be a path", got=repr(text))
    return Path(text)


def check_n_jobs(value: Any) -> int:
    """Return ``n_jobs`` as an ``int`` if it is a number of threads; negative ones count from all of them."""
    fix = "1 is one thread, -1 all of them."
    if check_int("n_jobs", value) == 0:
        raise error("n_jobs must not be 0", got=0, fix=fix)
    if abs(value) > MOST_JOBS:
        raise error(f"n_jobs must be from -{MOST_JOBS} to {MOST_JOBS}", got=int(value), fix=fix)
    return int(value)


def check_seed(name: str, value: Any) -> int:
    """Return ``value`` as an ``int`` if all generators take it as a seed."""
    if check_int(name, value, minimum=0) > MAX_SEED:
        raise error(f"{name} must be <= {MAX_SEED}", got=int(value))
    return int(value)


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a ``float`` if it is finite and within the limits.

    ``minimum`` and ``maximum`` are allowed themselves, ``above`` and ``below`` are not.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise error(f"{name} must be a number", got=repr(value), kind=TypeError)
    value = _as_float(value)
    rules = [
        ("be finite", math.isfinite(value)),
        (f"be >= {minimum}", minimum is None or value >= minimum),
        (f"be <= {maximum}", maximum is None or value <= maximum),
        (f"be > {above}", above is None or value > above),
        (f"be < {below}", below is None or value < below),
    ]
    for rule, holds in rules:
        if not holds:
            raise error(f"{name} must {rule}", got=value)
    return value


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats
        return math.inf if value > 0 else -math.inf


def check_obs_column(adata: AnnData, column: Hashable, *, name: str) -> pd.Series:
    """Return ``adata.obs[column]``; ``name`` is the argument that asked for it."""
    check_adata(adata)
    if not is_hashable(column) or column not in adata.obs.columns:
        raise error(
            f"{name} must name a column of adata.obs",
            got=repr(column),
            fix=f"The columns are {listing(adata.obs.columns) or 'none'}.",
            kind=KeyError,
        )
    if list(adata.obs.columns).count(column) > 1:
        raise error(f"adata.obs must have one column {column!r}", got="several of this name")
    found = adata.obs[column]
    check_hashable(found, f"adata.obs[{column!r}]")
    return found


def is_hashable(value: Any) -> bool:
    """Whether a value can be a key; a tuple can only if all in it can."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def check_hashable(column: pd.Series, place: str) -> None:
    """Refuse lists and the like in a column, which name no class; ``place`` is what messages call it."""
    if column.dtype != object:
        return
    try:
        set(column)
    except TypeError:
        bad = next(i for i, value in enumerate(column) if not is_hashable(value))
        got = f"{type(column.iloc[bad]).__name__} for {str(column.index[bad])!r}"
        raise error(f"{place} must hold plain values", got=f"a {got}", kind=TypeError) from None


def factor_order(columns: Collection[Any], factors: Collection[Any], *, name: str) -> list[int]:
    """Where each of ``factors`` stands among ``columns``, both free of duplicates.

    Tables of other origin call the same factors otherwise ("Z_0" for "Factor 1"): columns that have no name
    in common with the factors are taken as they come.
    """
    places = {str(column): i for i, column in enumerate(columns)}
    wanted = [str(factor) for factor in factors]
    if len(places) == len(wanted) == len(columns):
        if set(places) == set(wanted):
            return [places[factor] for factor in wanted]
        if not places.keys() & set(wanted):
            return list(range(len(wanted)))
    raise error(
        f"{name} must have a column for each of the {len(wanted)} factors {listing(wanted)}",
        got=f"{len(columns)}: {listing(columns)}",
    )


def modelled_genes(loadings: pd.DataFrame) -> pd.DataFrame:
    """Leave out the genes (rows) without any value: they were not in the model."""
    modelled = loadings.notna().any(axis=1).to_numpy()
    if len(loadings) and not modelled.any():
        raise error("Loadings must be finite", got="missing values only")
    return loadings[modelled]
