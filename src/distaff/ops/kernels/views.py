"""Parts of arrays as loops see them: a slice counts its owners and checks its bounds, which costs 40 ns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = ["part", "prefetch_row", "row_part"]

LINE = 64  # bytes that come into the cache together


@intrinsic
def part(context: Any, vector: Any, start: Any, stop: Any) -> Any:
    """``vector[start:stop]`` of a contiguous vector that outlives it; the bounds must lie within."""
    del context
    return vector(vector, start, stop), _generate_part


@intrinsic
def row_part(context: Any, matrix: Any, row: Any, start: Any, stop: Any) -> Any:
    """``matrix[row, start:stop]`` of a contiguous matrix that outlives it; the bounds must lie within."""
    del context
    return types.Array(matrix.dtype, 1, "C")(matrix, row, start, stop), _generate_row_part


@intrinsic
def prefetch_row(context: Any, matrix: Any, row: Any) -> Any:
    """Ask for ``matrix[row]`` of a contiguous matrix to be in the cache soon; it may lie beyond the end."""
    del context
    return types.void(matrix, row), _generate_prefetch


def _generate_part(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    vector, start, stop = _indices(context, builder, signature, arguments, 1)
    data = context.make_array(signature.args[0])(context, builder, vector).data
    return _view(context, builder, signature, data, start, stop)


def _generate_row_part(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    matrix, row, start, stop = _indices(context, builder, signature, arguments, 1)
    source = context.make_array(signature.args[0])(context, builder, matrix)
    width = builder.extract_value(source.shape, 1)
    data = builder.gep(source.data, [builder.mul(row, width)])
    return _view(context, builder, signature, data, start, stop)


def _generate_prefetch(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    matrix, row = _indices(context, builder, signature, arguments, 1)
    source = context.make_array(signature.args[0])(context, builder, matrix)
    width = builder.extract_value(source.shape, 1)
    byte, short = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, short, short, short])
    ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    first = builder.gep(source.data, [builder.mul(row, width)])
    step = LINE // context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
    with cgutils.for_range_slice(builder, width.type(0), width, width.type(step)) as (column, _):
        place = builder.bitcast(builder.gep(first, [column]), byte)
        builder.call(ask, [place, short(0), short(3), short(1)])  # to read, into all caches, data
    return context.get_dummy_value()


def _indices(context: Any, builder: Any, signature: Any, arguments: Any, first: int) -> list[Any]:
    """Arguments, of which those from ``first`` on become integers of the width of a pointer."""
    kinds = signature.args[first:]
    cast = [
        context.cast(builder, x, kind, types.intp) for x, kind in zip(arguments[first:], kinds, strict=True)
    ]
    return [*arguments[:first], *cast]


def _view(context: Any, builder: Any, signature: Any, data: Any, start: Any, stop: Any) -> Any:
    kind = signature.return_type
    view = context.make_array(kind)(context, builder)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    populate_array(
        view,
        data=builder.gep(data, [start]),
        shape=cgutils.pack_array(builder, [builder.sub(stop, start)]),
        strides=cgutils.pack_array(builder, [size]),
        itemsize=size,
        meminfo=None,
    )
    return view._getvalue()
