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

__all__ = ["bits", "from_bits", "helper", "inner", "is_compiled", "kernel"]

# NaN must survive (training looks for it), hence neither "nnan" nor "ninf".
FLAGS = {"nsz", "arcp", "contract"}
# Nothing calls a kernel from C, and only some are called from Python: to compile what such calls need would
# take a third longer.
SCALARS: dict[str, Any] = {"fastmath": FLAGS, "error_model": "numpy", "no_cfunc_wrapper": True}
LOOPS = SCALARS | {"fastmath": FLAGS | {"reassoc"}, "nogil": True}  # sums may be split into lanes
FROM_LOOPS = {"no_cpython_wrapper": True}

INTEGER_OF: dict[Any, Any] = {types.float32: types.int32, types.float64: types.int64}
FLOAT_OF: dict[Any, Any] = {integer: real for real, integer in INTEGER_OF.items()}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


SOURCES = _digest(Path(__file__).parent)
KERNELS: list[Any] = []


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of loops; sums in its loops may be reordered."""
    function.__qualname__ = f"{function.__qualname__}_{SOURCES}"
    try:
        compiled = njit(cache=True, **LOOPS)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        compiled = njit(**LOOPS)(function)
    KERNELS.append(compiled)
    return compiled


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of loops into the kernels that call it.

    One that stood apart would be there twice in the process that compiles, and once, with other rounding, in
    those that read the kernel from disk: the first run of all would not give the bits of the others.
    """
    return njit(forceinline=True, **LOOPS | FROM_LOOPS)(function)


def is_compiled() -> bool:
    """Whether any loop of these sources was compiled before, in this process or as kept on disk."""
    if any(loop.signatures for loop in KERNELS):
        return True
    folders = {loop.stats.cache_path for loop in KERNELS} - {None}
    return any(True for folder in folders for _ in Path(folder).glob(f"*{SOURCES}*.nbi"))


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of scalars into the loops that call it, its operations in the order written."""
    return njit(forceinline=True, **SCALARS | FROM_LOOPS)(function)


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
