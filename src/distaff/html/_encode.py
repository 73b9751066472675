"""Numbers, arrays and names as the page holds them."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fractions", "number", "numbers", "packed", "script_json"]

DIGITS = 4  # significant


def number(value: Any) -> float | None:
    """Rounded, for JSON; None for what is missing or infinite.

    Examples
    --------
    >>> number(0.123456), number(float("nan"))
    (0.1235, None)
    """
    value = float(value)
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def numbers(values: ArrayLike) -> list[float | None]:
    """:func:`number` of each value, shape (n,)."""
    return [number(value) for value in np.asarray(values, dtype=np.float64)]


def fractions(
    values: NDArray[Any], low: ArrayLike, high: ArrayLike, dtype: type[np.unsignedinteger[Any]]
) -> NDArray[Any]:
    """Whole numbers from 0 at ``low`` to the largest of ``dtype`` at ``high``; 0 where these agree."""
    start, end = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    span = end - start
    share = np.clip((values - start) / np.where(span > 0, span, np.inf), 0.0, 1.0)
    return np.round(share * np.iinfo(dtype).max).astype(dtype)


def packed(values: NDArray[Any]) -> str:
    """Bytes of an array of unsigned integers in base64, little end first."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def script_json(data: Any) -> str:
    r"""JSON that can stand inside of a ``<script>``: no character in it can end the element.

    Examples
    --------
    >>> print(script_json({"gene": "</script>é"}))
    {"gene":"\u003c/script\u003e\u00e9"}
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
