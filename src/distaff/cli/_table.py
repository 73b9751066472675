"""Tables for the terminal."""

from __future__ import annotations

import pandas as pd

__all__ = ["format_table"]


def format_table(table: pd.DataFrame, *, decimals: int = 2) -> str:
    """Text of ``table``: index on the left, numbers on the right, a dash for a missing one.

    A row named ``"mean"`` at the end is set apart by a line.

    Examples
    --------
    >>> print(format_table(pd.DataFrame({"score": [0.5, None]}, index=["a", "mean"])))
          score
    -----------
    a      0.50
    -----------
    mean      -
    """
    cells = [[_number(value, decimals) for value in row] for row in table.to_numpy(dtype=object)]
    names = [str(name) for name in table.index]
    heads = [str(column) for column in table.columns]
    left = max((len(name) for name in names), default=0)
    widths = [max(len(text) for text in (head, *(row[i] for row in cells))) for i, head in enumerate(heads)]
    lines = [
        f"{name:<{left}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for name, row in zip(["", *names], [heads, *cells], strict=True)
    ]
    rule = "-" * max(len(line) for line in lines)
    lines.insert(1, rule)
    if names and names[-1] == "mean":
        lines.insert(len(lines) - 1, rule)
    return "\n".join(line.rstrip() for line in lines)


def _number(value: object, decimals: int) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):  # type: ignore[call-overload]
        return "-"
    return f"{value:.{decimals}f}"
