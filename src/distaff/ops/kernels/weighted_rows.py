"""Weighted sums of rows whose partial sums stay in registers, which loops over arrays do not reach."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["INDEX", "LANES", "VECTOR", "WIDTH", "add_weighted_rows", "broadcast", "state"]

WIDTH = 64  # columns: their sums fill half of the vector registers of AVX2 and NEON, and a few of AVX-512
LANES = 16  # of a vector as it is written; the compiler splits it for machines with shorter ones
VECTOR = ir.VectorType(ir.FloatType(), LANES)
PARTS = WIDTH // LANES
INDEX, SHORT = ir.IntType(64), ir.IntType(32)


@intrinsic
def add_weighted_rows(
    context: Any, indices: Any, values: Any, source: Any, column: Any, out: Any, start: Any, end: Any
) -> Any:
    """``out += sum of values[k] * source[indices[k], column:][:WIDTH]`` for k from ``start`` up to ``end``.

    Indices are int32, values float32; ``source`` (rows, at least column + WIDTH) and ``out`` (WIDTH,) are
    float32 and contiguous. Column, start and end are int64.
    """
    del context
    return types.void(indices, values, source, column, out, start, end), _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    def array(i: int) -> Any:
        return context.make_array(signature.args[i])(context, builder, arguments[i])

    indices, values, source, out = (array(i).data for i in (0, 1, 2, 4))
    width = builder.extract_value(array(2).shape, 1)
    column, start, end = arguments[3], arguments[5], arguments[6]
    places = [_vector(builder, out, part) for part in range(PARTS)]
    sums = [builder.load(place, align=4) for place in places]
    entry = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    k = state(builder, INDEX, start, entry)
    states = [state(builder, VECTOR, value, entry) for value in sums]
    builder.cbranch(builder.icmp_signed("<", k, end), body, done)
    builder.position_at_end(body)
    row = builder.sext(builder.load(builder.gep(indices, [k])), INDEX)
    weight = broadcast(builder, builder.load(builder.gep(values, [k])))
    first = builder.gep(source, [builder.add(builder.mul(row, width), column)])
    for part, total in enumerate(states):
        term = builder.fmul(weight, builder.load(_vector(builder, first, part), align=4), flags=("contract",))
        total.add_incoming(builder.fadd(total, term, flags=("contract",)), body)
    k.add_incoming(builder.add(k, INDEX(1)), body)
    builder.branch(head)
    builder.position_at_end(done)
    for place, total in zip(places, states, strict=True):
        builder.store(total, place, align=4)
    return context.get_dummy_value()


def state(builder: Any, kind: Any, value: Any, entry: Any) -> Any:
    """Value that changes from one turn of the loop to the next."""
    found = builder.phi(kind)
    found.add_incoming(value, entry)
    return found


def _vector(builder: Any, base: Any, part: int) -> Any:
    """Pointer to one of the vectors that begin at ``base``."""
    return builder.bitcast(builder.gep(base, [INDEX(part * LANES)]), VECTOR.as_pointer())


def broadcast(builder: Any, value: Any) -> Any:
    """Vector of one value."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    lane = builder.insert_element(undefined, value, SHORT(0))
    return builder.shuffle_vector(lane, undefined, ir.Constant(ir.VectorType(SHORT, LANES), [0] * LANES))
