"""Factors of variation as every metric reads them: parsed once, with a declared kind and missing labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_choice, check_hashable, error, listing

__all__ = ["KINDS", "Factor", "Kind", "Kinds", "parse_factors"]

Kind = Literal["categorical", "binary", "continuous"]
Kinds = str | Mapping[str, str] | None
KINDS = ("categorical", "binary", "continuous")

MAX_INTEGER_CLASSES = 50  # more distinct whole numbers than this are hardly labels: the user has to say


@dataclass(frozen=True, eq=False)
class Factor:
    """One factor.

    Parameters
    ----------
    name
        Name in all results.
    kind
        "categorical", "binary" (two classes) or "continuous".
    values
        (cells,): class number, -1 where missing; or the value, NaN where missing.
    classes
        Names of the classes in order; empty for a continuous factor.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    classes: tuple[str, ...] = ()

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(cells,) whether the cell has a label."""
        return ~np.isnan(self.values) if self.kind == "continuous" else self.values >= 0

    @property
    def constant(self) -> bool:
        """Whether fewer than two different values are seen."""
        seen = self.values[self.labelled]
        return len(seen) < 2 or bool((seen == seen[0]).all())

    def one_vs_rest(self) -> list[Factor]:
        """Itself if it has at most two classes, else one binary factor a class, named "factor: class"."""
        if self.kind == "continuous" or len(self.classes) <= 2:
            return [self]
        missing = self.values < 0
        return [
            Factor(
                name=f"{self.name}: {label}",
                kind="binary",
                values=np.where(missing, -1, (self.values == number).astype(np.int64)),
                classes=("rest", label),
            )
            for number, label in enumerate(self.classes)
        ]


def parse_factors(Y: Any, n_cells: int, kinds: Kinds = None) -> list[Factor]:
    """Read ``Y`` (cells,) or (cells, factors); see :class:`Factor`.

    The kind is what ``kinds`` says: one kind for all factors, or a mapping from the name of a factor. For the
    rest it follows from the dtype: categories, strings, booleans and objects are class labels; whole numbers
    are class labels if there are at most 50 different ones, else an error asks; floats are continuous, unless
    0 and 1 are their only values. Two classes make a factor binary, with the later one as the positive.
    """
    table = _as_table(Y)
    if len(table) != n_cells:
        raise error("Y must have one row a cell", got=f"{len(table)} rows for {n_cells} cells")
    names = [str(name) for name in table.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise error("Factor names must differ", got=f"{listing(repeated)} more than once")
    declared = _declared_kinds(kinds, names)
    return [_parse(name, table.iloc[:, i], declared.get(name)) for i, name in enumerate(names)]


def _as_table(Y: Any) -> pd.DataFrame:
    if isinstance(Y, pd.DataFrame):
        table = Y
    elif isinstance(Y, pd.Series):
        table = Y.to_frame("y1" if Y.name is None else Y.name)
    elif _n_dimensions(Y) == 1:
        table = pd.Series(Y, name="y1").to_frame()
    else:
        values = np.asarray(Y)
        if values.ndim != 2:
            raise error("Y must be (cells,) or (cells, factors)", got=f"shape {values.shape}")
        table = pd.DataFrame(values, columns=[f"y{i + 1}" for i in range(values.shape[1])])
    if table.shape[1] == 0:
        raise error("Y must hold at least one factor", got="none")
    return table


def _n_dimensions(Y: Any) -> int:
    try:
        return np.ndim(Y)
    except ValueError:
        got = "rows of different lengths"
        raise error("Y must be (cells,) or (cells, factors)", got=got) from None


def _declared_kinds(kinds: Kinds, names: list[str]) -> dict[str, str]:
    if kinds is None:
        return {}
    if not isinstance(kinds, str | Mapping):
        raise error(
            "kinds must be a kind, or a mapping from factors to kinds", got=repr(kinds), kind=TypeError
        )
    declared = (
        dict.fromkeys(names, kinds) if isinstance(kinds, str) else {str(k): v for k, v in kinds.items()}
    )
    unknown = [name for name in declared if name not in names]
    if unknown:
        raise error("kinds must name factors", got=listing(unknown), fix=f"The factors are {listing(names)}.")
    for name, kind in declared.items():
        check_choice(f"kinds[{name!r}]", kind, KINDS)
    return declared


def _parse(name: str, column: pd.Series, declared: str | None) -> Factor:
    if pd.api.types.is_object_dtype(column.dtype):
        column = column.infer_objects()  # a table of mixed columns comes as objects
    kind = declared or _kind_from_dtype(name, column)
    if kind == "continuous":
        return Factor(name, "continuous", _numbers(name, column))
    check_hashable(column, f"Factor {name!r}")
    codes, classes = _codes(column)
    if kind == "binary" and len(classes) > 2:
        raise error(
            f"Binary factor {name!r} must have two classes", got=f"{len(classes)}: {listing(classes)}"
        )
    return Factor(name, "binary" if len(classes) == 2 else "categorical", codes, classes)


def _kind_from_dtype(name: str, column: pd.Series) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return "categorical"
    if pd.api.types.is_integer_dtype(dtype):
        n_values = column.nunique()
        if n_values > MAX_INTEGER_CLASSES:
            raise error(
                f"The kind of factor {name!r} must be declared, for whole numbers may be labels or amounts",
                got=f"{n_values} different whole numbers",
                fix=f'Pass kinds={{{name!r}: "continuous"}} or "categorical".',
            )
        return "categorical"
    if pd.api.types.is_float_dtype(dtype):
        zero_one = column.dropna().isin([0.0, 1.0]).all() and column.nunique() == 2
        return "binary" if zero_one else "continuous"
    if pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        return "categorical"
    raise error(f"Factor {name!r} must hold labels or real numbers", got=f"dtype {dtype}", kind=TypeError)


def _numbers(name: str, column: pd.Series) -> NDArray[np.float64]:
    try:
        plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
        values = pd.to_numeric(plain).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as cause:
        raise error(f"Continuous factor {name!r} must hold numbers", got=f"dtype {column.dtype}") from cause
    if np.isinf(values).any():
        row = column.index[int(np.flatnonzero(np.isinf(values))[0])]
        raise error(f"Factor {name!r} must be finite or missing", got=f"an infinite value in row {row!r}")
    return values


def _codes(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers (-1 missing) and names of the classes that are seen: category order, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return column.cat.codes.to_numpy(dtype=np.int64), tuple(map(str, column.cat.categories))
    codes, values = pd.factorize(column)
    order = sorted(range(len(values)), key=lambda i: _sort_key(values[i]))
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    return rank[codes], tuple(_label(values[i]) for i in order)


def _sort_key(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then the rest by name."""
    number = isinstance(value, Real | np.bool_)
    return not number, float(value) if number else 0.0, str(value)


def _label(value: Any) -> str:
    """Whole floats read as integers: missing values turn 1 into 1.0, which is the same class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
