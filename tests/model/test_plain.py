from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from distaff.model._plain import Packer, unpack


def there_and_back(value):
    packer = Packer()
    packed = json.loads(json.dumps(packer.pack(value, "x"), allow_nan=False))
    return unpack(packed, packer.arrays)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        0.1,
        float("inf"),
        "naïve \ud800 \x00",
        [1, (2, [3.5, None]), ()],
        {"a": {"b": []}, "$number": 1},
        {1: "one", None: "none", (1, 2): "pair", 2.5: "x"},
    ],
    ids=repr,
)
def test_plain_values(value):
    again = there_and_back(value)
    assert again == value
    assert type(again) is type(value)


def test_not_a_number():
    assert np.isnan(there_and_back({"loss": [float("nan")]})["loss"][0])


def test_numbers_of_numpy_become_those_of_python():
    values = there_and_back([np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a")])
    assert [type(value) for value in values] == [float, int, bool, str]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (4, 5)])
def test_numeric_arrays(dtype, shape):
    value = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    again = there_and_back(value)
    assert again.dtype == value.dtype.newbyteorder("=")
    assert again.shape == shape
    assert np.array_equal(again, value)


def test_views_and_tensors():
    value = np.arange(12.0).reshape(3, 4)[::2, ::-1]
    assert np.array_equal(there_and_back(value), value)
    tensor = torch.arange(6).reshape(2, 3).T
    assert torch.equal(there_and_back(tensor), tensor)


@pytest.mark.parametrize(
    "value",
    [
        np.array(["b", "a"], dtype=object),
        np.array(["b", "longer"]),
        np.array(["x", 1, None, 2.5, True], dtype=object),
        pd.Index(["g1", "g2"]),
    ],
    ids=repr,
)
def test_arrays_of_objects(value):
    again = there_and_back(value)
    assert again.dtype == object
    assert again.tolist() == list(value)


def test_nested_lists_stay_the_items_of_an_array():
    value = np.empty(2, dtype=object)
    value[:] = [[1, 2], [3, 4]]
    again = there_and_back(value)
    assert again.shape == (2,)
    assert again[1] == [3, 4]


def test_times():
    value = pd.to_datetime(["2026-01-01", None]).to_numpy()
    again = there_and_back(value)
    assert again.dtype == value.dtype
    assert again[0] == value[0]
    assert np.isnat(again[1])


def test_tables():
    table = pd.DataFrame(
        {"loss": [1.5, np.nan], 0: [1, 2], "kind": ["a", "b"]}, index=pd.Index([0, 1], name="epoch")
    )
    again = there_and_back(table)
    pd.testing.assert_frame_equal(again, table)
    empty = there_and_back(table.iloc[:0])
    assert empty.columns.to_list() == table.columns.to_list()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (lambda: 0, r"x must be plain data.*got function"),
        ({"a": [1, {2}]}, r"x\['a'\]\[1\] must be plain data.*got set"),
        (b"bytes", "got bytes"),
        (1j, "got complex"),
        (np.array([1j]), "array of complex128"),
        (np.array([pd.Interval(0, 1)], dtype=object), "got Interval"),
        (np.array([["a"]], dtype=object), "array of object"),
        (pd.DataFrame({"a": [object()]}), "got object"),
        (pd.DataFrame(index=pd.MultiIndex.from_tuples([(0, 1)])), "got DataFrame"),
    ],
    ids=["function", "set", "bytes", "complex", "complex array", "interval", "matrix", "objects", "table"],
)
def test_what_cannot_be_saved_is_named(value, name):
    with pytest.raises(TypeError, match=name):
        Packer().pack(value, "x")


@pytest.mark.parametrize(
    "packed",
    [
        {"$unknown": 1},
        {"$tuple": [], "other": 1},
        {"$number": "1e5"},
        {"$array": "array:9"},
        {"$tuple": [{"$array": "array:0"}, {"$array": "array:0"}]},
        {"$items": [[1]]},
        {"$items": [[[1], 2]]},
        {"$times": {"dtype": "int64", "values": {"$array": "array:0"}}},
        {"$table": {"index": {"$array": "array:0"}}},
        {"$table": {"index": {"$array": "array:0"}, "index_name": None, "columns": ["a"], "values": [[1]]}},
    ],
    ids=str,
)
def test_what_was_not_made_so_is_refused(packed):
    with pytest.raises((ValueError, KeyError, TypeError)):
        unpack(packed, {"array:0": torch.arange(3)})
