"""The JSON file of a saved model or run: format, schema and checksum."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distaff._checks import error

__all__ = ["Form", "corrupt", "dump_document", "parse_document", "sha256"]


@dataclass(frozen=True)
class Form:
    """What a file is of.

    Parameters
    ----------
    format
        Name of the format.
    kinds
        Parts that must be there, and of which type they are.
    schema
        Version of what is written; older ones are read.
    """

    format: str
    kinds: Mapping[str, type]
    schema: int = 1


MODEL = Form(
    "distaff model",
    {"class": str, "versions": dict, "var_names": list, "attributes": dict, "tensors": dict},
)


def corrupt(name: object, why: object) -> Exception:
    """Build the error for a file of a saved model that is not as it was written."""
    return error(
        f"{name} must be as it was saved",
        got=f"a corrupt file ({why})",
        fix="Get the file anew, or save the model anew.",
    )


def sha256(data: bytes) -> str:
    """Checksum of ``data``, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def dump_document(content: dict[str, Any], form: Form = MODEL) -> bytes:
    """JSON of ``content`` with format, schema and the checksum of all of it."""
    document = {"format": form.format, "schema": form.schema, **content}
    return _text({**document, "sha256": sha256(_text(document))})


def parse_document(data: bytes, name: object, form: Form = MODEL) -> dict[str, Any]:
    """Return what was dumped; ``name`` is what messages call the file.

    White space and the escapes of strings may differ from what was written, nothing else.

    Raises
    ------
    ValueError
        If the file is corrupt, is of something else, or was written by a later version.
    """
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as exception:
        raise corrupt(name, exception) from exception
    if not isinstance(document, dict) or document.get("format") != form.format:
        raise corrupt(name, f"its format is not {form.format!r}")
    checksum = document.pop("sha256", None)
    if checksum != sha256(_text(document)):
        raise corrupt(name, "its content does not fit its checksum")
    schema = document.get("schema")
    if schema != form.schema:
        raise error(
            f"{name} must have a schema that this version of distaff knows ({form.schema})",
            got=repr(schema),
            fix="Install a later version of distaff.",
        )
    if not _is_whole(document, form.kinds):
        raise corrupt(name, "a part is missing, or of another kind")
    return document


def _is_whole(document: dict[str, Any], kinds: Mapping[str, type]) -> bool:
    """Whether all parts are there that reading relies on."""
    parts = {key: document.get(key) for key in kinds}
    files = [parts["tensors"], *([] if document.get("anndata") is None else [document["anndata"]])]
    return all(isinstance(part, kinds[key]) for key, part in parts.items()) and all(
        isinstance(file, dict)
        and re.fullmatch("[0-9a-f]{64}", str(file.get("sha256")))
        and type(file.get("bytes")) is int
        for file in files
    )


def _text(document: dict[str, Any]) -> bytes:
    """One text for one content: the checksum is that of this text."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key is there twice")
    return document


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large")
    return number
