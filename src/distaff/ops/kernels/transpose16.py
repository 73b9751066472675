"""Transposed copy of a tile of 16 x 16 values in vector registers: a loop would move them one by one."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["TILE", "transpose_tile"]

TILE = 16
VECTOR = ir.VectorType(ir.FloatType(), TILE)
SHORT = ir.IntType(32)


@intrinsic
def transpose_tile(context: Any, source: Any, row: Any, column: Any, out: Any, at: Any, to: Any) -> Any:
    """``out[at:at + 16, to:to + 16] = source[row:row + 16, column:column + 16].T``.

    Both are contiguous float32 matrices; the positions are int64 and must lie within.
    """
    del context
    return types.void(source, row, column, out, at, to), _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, row, column, out, at, to = arguments
    rows = [builder.load(p, align=4) for p in _rows(context, builder, signature.args[0], source, row, column)]
    for distance in (1, 2, 4, 8):  # values whose row and column differ in this bit change places
        rows = _exchange(builder, rows, distance)
    for value, place in zip(rows, _rows(context, builder, signature.args[3], out, at, to), strict=True):
        builder.store(value, place, align=4)
    return context.get_dummy_value()


def _rows(context: Any, builder: Any, kind: Any, matrix: Any, row: Any, column: Any) -> list[Any]:
    """Pointers to the rows of a tile."""
    array = context.make_array(kind)(context, builder, matrix)
    width = builder.extract_value(array.shape, 1)
    first = builder.gep(array.data, [builder.add(builder.mul(row, width), column)])
    steps = (builder.mul(width, width.type(r)) for r in range(TILE))
    return [builder.bitcast(builder.gep(first, [step]), VECTOR.as_pointer()) for step in steps]


def _exchange(builder: Any, rows: list[Any], distance: int) -> list[Any]:
    """Swap the off-diagonal halves of all squares of 2 ``distance`` rows."""
    upper, lower = _masks(distance)
    out = list(rows)
    for r in range(TILE):
        if not r & distance:
            first, second = rows[r], rows[r + distance]
            out[r] = builder.shuffle_vector(first, second, upper)
            out[r + distance] = builder.shuffle_vector(first, second, lower)
    return out


def _masks(distance: int) -> tuple[Any, Any]:
    """Which lanes of a pair of rows the upper and the lower one get; those of the second begin at 16."""
    upper = [c if not c & distance else TILE + c - distance for c in range(TILE)]
    lower = [c + distance if not c & distance else TILE + c for c in range(TILE)]
    kind = ir.VectorType(SHORT, TILE)
    return ir.Constant(kind, upper), ir.Constant(kind, lower)
