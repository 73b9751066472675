"""Values of a model as JSON, with numeric arrays beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from distaff._checks import error

__all__ = ["ARRAY_NAME", "Packer", "unpack"]

ARRAY_NAME = "array:"  # no entry of a state dict has a colon in its name
NUMERIC = frozenset({"bool", "uint8", "float16", "float32", "float64"} | {f"int{n}" for n in (8, 16, 32, 64)})
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
TAG = "$"


class Packer:
    """Turn values into what JSON knows; numeric arrays go into ``arrays`` and leave their name.

    What JSON does not know becomes an object whose only key starts with ``$``.

    Attributes
    ----------
    arrays
        Tensors by name.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Tensor] = {}

    def pack(self, value: Any, name: str) -> Any:
        """Turn ``value`` into JSON; ``name`` is what messages call it.

        Raises
        ------
        TypeError
            If it, or a part of it, is not plain data.
        """
        if value is None or isinstance(value, bool | np.bool_):
            return None if value is None else bool(value)
        if isinstance(value, str):
            return str(value)
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Real):
            number = float(value)
            return number if math.isfinite(number) else {"$number": repr(number)}
        if isinstance(value, Mapping):
            return self._pack_mapping(value, name)
        if isinstance(value, list | tuple):
            items = [self.pack(item, f"{name}[{i}]") for i, item in enumerate(value)]
            return items if isinstance(value, list) else {"$tuple": items}
        if isinstance(value, pd.DataFrame) and value.index.nlevels == value.columns.nlevels == 1:
            return self._pack_table(value, name)
        if isinstance(value, np.ndarray | pd.Index) and value.ndim <= 1 and value.dtype.kind in "OUTMm":
            return self._pack_objects(np.asarray(value), name)
        if isinstance(value, np.ndarray | Tensor) and _dtype_name(value) in NUMERIC:
            return self._pack_numbers(value)
        raise error(
            f"{name} must be plain data to be saved (numbers, strings, lists, dicts, arrays, tables)",
            got=type(value).__name__ if not hasattr(value, "dtype") else f"an array of {value.dtype}",
            fix="Turn it into plain data, or delete it.",
            kind=TypeError,
        )

    def _pack_mapping(self, value: Mapping[Any, Any], name: str) -> dict[str, Any]:
        if all(type(key) is str and not key.startswith(TAG) for key in value):
            return {key: self.pack(item, f"{name}[{key!r}]") for key, item in value.items()}
        pairs = [
            [self.pack(key, f"keys of {name}"), self.pack(item, f"{name}[{key!r}]")]
            for key, item in value.items()
        ]
        return {"$items": pairs}

    def _pack_numbers(self, value: np.ndarray | Tensor) -> dict[str, str]:
        if isinstance(value, Tensor):
            kind, tensor = "$tensor", value.detach().cpu()
        else:
            native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
            kind, tensor = "$array", torch.from_numpy(native.reshape(value.shape).copy())
        name = f"{ARRAY_NAME}{len(self.arrays)}"
        self.arrays[name] = tensor
        return {kind: name}

    def _pack_objects(self, value: np.ndarray, name: str) -> dict[str, Any]:
        if value.dtype.kind in "Mm":
            return {"$times": {"dtype": str(value.dtype), "values": self._pack_numbers(value.view(np.int64))}}
        return {"$objects": [self.pack(item, name) for item in value.tolist()]}

    def _pack_table(self, table: pd.DataFrame, name: str) -> dict[str, Any]:
        columns = [table.iloc[:, i].to_numpy() for i in range(table.shape[1])]
        return {
            "$table": {
                "index": self.pack(table.index.to_numpy(), f"{name}.index"),
                "index_name": self.pack(table.index.name, f"{name}.index.name"),
                "columns": [self.pack(column, f"{name}.columns") for column in table.columns],
                "values": [self.pack(column, name) for column in columns],
            }
        }


def _dtype_name(value: np.ndarray | Tensor) -> str:
    return str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else value.dtype.name


def unpack(value: Any, arrays: dict[str, Tensor]) -> Any:
    """Turn what :class:`Packer` made into values again; arrays of strings come back as arrays of objects.

    Arrays are taken out of ``arrays``: each is there for one value, so that all are no larger than the file.

    Raises
    ------
    Exception
        If ``value`` was not made so.
    """
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith(TAG) for key in value):
        return {key: unpack(item, arrays) for key, item in value.items()}
    ((kind, content),) = value.items()
    return READERS[kind](content, arrays)


def _items(content: Any, arrays: dict[str, Tensor]) -> dict[Any, Any]:
    return {unpack(key, arrays): unpack(item, arrays) for key, item in content}


def _objects(content: Any, arrays: dict[str, Tensor]) -> np.ndarray:
    values = np.empty(len(content), dtype=object)
    values[:] = unpack(content, arrays)
    return values


def _times(content: Any, arrays: dict[str, Tensor]) -> np.ndarray:
    values, dtype = unpack(content["values"], arrays), np.dtype(content["dtype"])
    if dtype.kind not in "Mm":
        raise ValueError(f"{dtype} is no type of times")
    return np.asarray(values).view(dtype)


def _table(content: Any, arrays: dict[str, Tensor]) -> pd.DataFrame:
    parts = {key: unpack(item, arrays) for key, item in content.items()}
    index = pd.Index(parts["index"], name=parts["index_name"])
    if any(len(column) != len(index) for column in parts["values"]):
        raise ValueError("a column of a table has another length")
    table = pd.DataFrame(dict(enumerate(parts["values"])), index=index)
    table.columns = pd.Index(parts["columns"])
    return table


READERS = {
    "$number": lambda content, _: NOT_FINITE[content],
    "$tuple": lambda content, arrays: tuple(unpack(content, arrays)),
    "$items": _items,
    "$tensor": lambda content, arrays: arrays.pop(content),
    "$array": lambda content, arrays: arrays.pop(content).numpy(),
    "$objects": _objects,
    "$times": _times,
    "$table": _table,
}
