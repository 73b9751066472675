"""A narrow product of matrices whose partial sums stay in registers, which loops over arrays do not reach."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from distaff.ops.kernels.weighted_rows import INDEX, LANES, VECTOR, broadcast, state

__all__ = ["COLUMNS", "SIDE", "add_products"]

SIDE = 4  # rows of the result that share what is read of the source
PARTS = 2  # vectors of a row
COLUMNS = LANES * PARTS


@intrinsic
def add_products(context: Any, factors: Any, source: Any, out: Any, row: Any, column: Any, count: Any) -> Any:
    """``out[row:row + 4, column:column + 32] += (factors[row:row + 4, :n] @ source[:n])[:, same columns]``.

    All are contiguous float32 matrices; row, column and the count n are int64 and must lie within.
    """
    del context
    return types.void(factors, source, out, row, column, count), _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    def matrix(i: int) -> tuple[Any, Any]:
        array = context.make_array(signature.args[i])(context, builder, arguments[i])
        return array.data, builder.extract_value(array.shape, 1)

    (factors, n_factors), (source, n_source), (out, n_out) = matrix(0), matrix(1), matrix(2)
    row, column, count = arguments[3:]
    rows = [builder.add(row, INDEX(r)) for r in range(SIDE)]
    places = [_vector(builder, out, n_out, r, column, part) for r in rows for part in range(PARTS)]
    weights = [builder.gep(factors, [builder.mul(r, n_factors)]) for r in rows]
    sums = [builder.load(place, align=4) for place in places]
    entry = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    k = state(builder, INDEX, INDEX(0), entry)
    states = [state(builder, VECTOR, value, entry) for value in sums]
    builder.cbranch(builder.icmp_signed("<", k, count), body, done)
    builder.position_at_end(body)
    read = [builder.load(_vector(builder, source, n_source, k, column, p), align=4) for p in range(PARTS)]
    for r, weight in enumerate(weights):
        factor = broadcast(builder, builder.load(builder.gep(weight, [k])))
        for total, value in zip(states[r * PARTS : (r + 1) * PARTS], read, strict=True):
            term = builder.fmul(factor, value, flags=("contract",))
            total.add_incoming(builder.fadd(total, term, flags=("contract",)), body)
    k.add_incoming(builder.add(k, INDEX(1)), body)
    builder.branch(head)
    builder.position_at_end(done)
    for place, total in zip(places, states, strict=True):
        builder.store(total, place, align=4)
    return context.get_dummy_value()


def _vector(builder: Any, base: Any, width: Any, row: Any, column: Any, part: int) -> Any:
    """Pointer to a vector of a row."""
    start = builder.add(builder.add(builder.mul(row, width), column), INDEX(part * LANES))
    return builder.bitcast(builder.gep(base, [start]), VECTOR.as_pointer())
