"""Loops over single values."""

# The types of the arguments are those of the arrays passed: numba infers them.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import kernel
from distaff.ops.kernels.vector_math import log1p32

__all__ = ["log1p_values"]

F = np.float32


@kernel
def log1p_values(x, out):
    """``log(1 + x)`` of values above -1/2."""
    for k in range(x.size):
        u = F(1.0) + x[k]
        out[k] = log1p32(x[k], u, F(1.0) / u)
