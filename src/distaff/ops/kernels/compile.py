"""Options of the compiled kernels: written once, since each of them silently costs a factor.

Kernels are serial and hold no lock (``nogil``): torch's threads and numba's would fight over the cores. They
are compiled at their first call and kept on disk; where no folder can be written, in every process anew.
What is kept bears the digest of all kernels' sources in its name: numba itself only sees a change of the file
that a kernel stands in, not of those that it calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

__all__ = ["bits", "from_bits", "helper", "kernel"]

# NaN must survive (training looks for it), hence neither "nnan" nor "ninf".
EXACT = {"nsz", "arcp", "contract"}
LOOPS = EXACT | {"reassoc"}  # sums may be split into lanes

INTEGER_OF: dict[Any, Any] = {types.float32: types.int32, types.float64: types.int64}
FLOAT_OF: dict[Any, Any] = {integer: real for real, integer in INTEGER_OF.items()}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


SOURCES = _digest(Path(__file__).parent)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of loops; sums in its loops may be reordered."""
    function.__qualname__ = f"{function.__qualname__}_{SOURCES}"
    options: dict[str, Any] = {"fastmath": LOOPS, "error_model": "numpy", "nogil": True}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(**options)(function)


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of scalars into the loops that call it, its operations in the order written."""
    return njit(forceinline=True, fastmath=EXACT, error_model="numpy")(function)


@intrinsic
def bits(context: Any, x: Any) -> Any:
    """Integer with the bits of a float of the same width."""
    del context
    return INTEGER_OF[x](x), _bitcast(INTEGER_OF[x])


@intrinsic
def from_bits(context: Any, x: Any) -> Any:
    """Float with the bits of an integer of the same width."""
    del context
    return FLOAT_OF[x](x), _bitcast(FLOAT_OF[x])


def _bitcast(target: Any) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        return builder.bitcast(arguments[0], context.get_value_type(target))

    return generate
