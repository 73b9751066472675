"""Tables of a study: the numbers of the paper beside ours, and those that they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from distaff.papers._trials import plain, write

__all__ = ["Claim", "Table", "claims_table", "markdown", "write_tables"]

VERDICTS = {True: "agrees", False: "differs", None: "not measured"}


@dataclass(frozen=True)
class Claim:
    """Something that a paper says, and what we found.

    Parameters
    ----------
    where
        Figure, table or section of the paper.
    what
        The number or the statement, in words.
    published
        What the paper has; a text where it gives no number.
    ours
        What we measured.
    agrees
        Whether the two agree by ``rule``; None if it could not be measured.
    rule
        When they are said to agree, in words.
    why
        Where the difference comes from, as far as we know.
    """

    where: str
    what: str
    published: float | str
    ours: float | str
    agrees: bool | None
    rule: str
    why: str = ""


@dataclass(frozen=True)
class Table:
    """A table to write.

    Parameters
    ----------
    name
        Its key in the JSON file.
    title
        Its heading.
    frame
        Its columns; the index is left out.
    note
        What a reader must know to read it.
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""


def claims_table(claims: Sequence[Claim]) -> Table:
    """The paper's numbers beside ours, with a verdict."""
    columns = ("where", "what", "published", "ours", "verdict", "agrees if", "why not")
    rows = [
        (
            *(claim.where, claim.what, claim.published, claim.ours, VERDICTS[claim.agrees], claim.rule),
            claim.why if claim.agrees is False else "",
        )
        for claim in claims
    ]
    return Table("claims", "The paper beside this run", pd.DataFrame(rows, columns=columns))


def write_tables(
    folder: Path,
    tables: Sequence[Table],
    *,
    heading: str,
    about: Mapping[str, Any],
    failed: Mapping[str, str],
) -> None:
    """Write all tables as ``tables.json`` and ``tables.md``.

    Parameters
    ----------
    folder
        Where to write.
    tables
        What to write.
    heading
        First line of the text.
    about
        What was run.
    failed
        Errors of the trials that have no result, by name.
    """
    record = {"study": heading, **about, "failed": dict(failed)}
    record["tables"] = {
        table.name: {"title": table.title, "note": table.note, "rows": table.frame.to_dict("records")}
        for table in tables
    }
    write(folder / "tables.json", json.dumps(plain(record), indent=1, allow_nan=False) + "\n")
    parts = [f"# {heading}", ", ".join(f"{name}: {value}" for name, value in about.items())]
    if failed:
        rows = pd.DataFrame({"trial": list(failed), "error": list(failed.values())})
        note = "Missing from all that follows. The same command tries them again."
        tables = [Table("failed", "Failed trials", rows, note), *tables]
    for table in tables:
        parts += [f"## {table.title}", *([table.note] if table.note else []), markdown(table.frame)]
    write(folder / "tables.md", "\n\n".join(parts) + "\n")


def markdown(frame: pd.DataFrame) -> str:
    """Table in Markdown: numbers with three significant digits, an empty cell for a missing one.

    Examples
    --------
    >>> print(markdown(pd.DataFrame({"beta": [1, 10], "score": [0.51234, None]})))
    | beta | score |
    | --- | --- |
    | 1 | 0.512 |
    | 10 |  |
    """
    rows = [[str(column) for column in frame.columns], ["---"] * frame.shape[1]]
    rows += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.replace("|", "\\|").split())
    if pd.isna(value):
        return ""
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
