"""Who may import whom: the rooms of the package and their third-party neighbours, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "distaff"
MAX_LINES = 400

# Rooms that a room may import. An entry "types:x" is allowed under `if TYPE_CHECKING:` only.
ROOMS: dict[str, set[str]] = {
    "ops": set(),
    "nn": {"ops"},
    "objectives": {"ops", "types:nn"},
    "module": {"ops", "nn", "objectives"},
    "train": {"ops", "types:objectives", "types:module"},
    "model": {"ops", "nn", "objectives", "module", "train", "pp"},
    "metrics": set(),
    "datasets": set(),
    "pp": set(),
    "tl": {"model", "metrics", "pp"},
    "pl": set(),
    "html": {"pl"},
    "extend": {"ops", "nn", "objectives", "model"},
    "hub": {"model", "metrics", "datasets", "pp", "tl", "pl"},
    "papers": {"the whole package"},  # a user like others
    "cli": {
        "model",
        "metrics",
        "datasets",
        "pp",
        "tl",
        "pl",
        "html",
        "hub",
        "papers",
        "the whole package",
    },  # a user like others
}

# Files beside the rooms: which rooms may import them (None: all), and they themselves import no room.
FILES: dict[str, set[str] | None] = {
    "_keys": None,
    "_checks": None,
    "_atomic": {"train", "model", "hub", "papers", "pl", "html", "cli"},
    "_disk": {"train", "model", "pp"},
    "_storage": {"_disk", "train", "pp", "cli"},
    "_runs": {"tl", "pl"},
    "_threads": {"papers", "cli"},
    "_compat": {"module", "train", "model", "hub", "tl"},
}

WHOLE = "the whole package"  # `import distaff`
FRONT_DOORS = {"__init__", "__main__"}  # name what is public, start the command: both see all rooms

DEEP_LEARNING = {"torch", "torchmetrics", "lightning", "pytorch_lightning", "pyro", "scvi"}

# Third parties that a room may not import.
FORBIDDEN: dict[str, set[str]] = {
    "nn": {"anndata", "lightning", "matplotlib", "scanpy"},
    "objectives": {"anndata", "lightning", "matplotlib", "scanpy", "scvi"},
    "module": {"anndata", "matplotlib", "scanpy"},
    "train": {"matplotlib", "scanpy"},
    "model": {"matplotlib", "scanpy"},
    "metrics": DEEP_LEARNING | {"anndata", "scanpy"},
    "datasets": DEEP_LEARNING | {"scanpy"},
    "pp": DEEP_LEARNING,
    "pl": DEEP_LEARNING,
    "html": DEEP_LEARNING | {"matplotlib", "scanpy"},
}

# Third parties that are the only ones a room may import.
ONLY: dict[str, set[str]] = {"ops": {"llvmlite", "numba", "numpy", "torch"}}


@dataclass(frozen=True)
class Import:
    """One imported name: where it stands, its dotted path, and whether only a type checker sees it."""

    file: Path
    line: int
    target: str
    types_only: bool


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def walk(node: ast.AST, types_only: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes below ``node``, inside functions too, with whether ``TYPE_CHECKING`` guards them."""
    for field, value in ast.iter_fields(node):
        guarded = types_only or (isinstance(node, ast.If) and field == "body" and is_type_checking(node.test))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child, guarded
                yield from walk(child, guarded)


def imports(file: Path, root: Path) -> Iterator[Import]:
    """Absolute dotted paths of all imports of ``file``; ``root`` is the folder of the package."""
    package = [root.name, *file.relative_to(root).parent.parts]
    for node, types_only in walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            targets = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for target in targets:
            yield Import(file, node.lineno, target, types_only)


def room_of(file: Path, root: Path) -> str:
    """First folder below the package, or the name of a file that stands beside the rooms."""
    return file.relative_to(root).with_suffix("").parts[0]


def breach(room: str, target: str, types_only: bool, package: str) -> str | None:
    """Why ``room`` may not import ``target``; None if it may."""
    top, *rest = target.split(".")
    if top == package:
        return own_breach(room, rest[0] if rest else WHOLE, types_only)
    if top in sys.stdlib_module_names or types_only:
        return None
    if top in FORBIDDEN.get(room, set()) or top not in ONLY.get(room, {top}):
        return f"{room} may not import {top}"
    return None


def own_breach(room: str, other: str, types_only: bool) -> str | None:
    if other in (room, "__version__"):
        return None
    if other in FILES:
        allowed = FILES[other]
        fine = allowed is None or room in allowed
    else:
        may = ROOMS.get(room, set())
        fine = other in may or (types_only and f"types:{other}" in may)
    return None if fine else f"{room} may not import {other}"


def breaches(root: Path) -> list[str]:
    """All violations in the package at ``root``, one line each."""
    found = []
    for file in sorted(root.rglob("*.py")):
        room = room_of(file, root)
        if room in FRONT_DOORS:
            continue
        if room not in ROOMS and room not in FILES:
            found.append(f"{file.relative_to(root)}: room {room!r} is not in the table")
            continue
        for item in imports(file, root):
            why = breach(room, item.target, item.types_only, root.name)
            if why:
                found.append(f"{file.relative_to(root)}:{item.line}: {why} ({item.target})")
    return found


def test_imports_follow_the_table() -> None:
    assert breaches(SRC) == []


def test_no_file_is_too_long() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in SRC.rglob("*.py")}
    assert {str(file.relative_to(SRC)): n for file, n in lengths.items() if n > MAX_LINES} == {}


VIOLATIONS = {
    "absolute": ("ops/a.py", "from distaff.nn import MLP"),
    "plain": ("ops/a.py", "import distaff.nn.layers"),
    "whole package": ("metrics/a.py", "import distaff"),
    "name of a room": ("metrics/a.py", "from distaff import tl"),
    "relative": ("ops/a.py", "from ..nn import MLP"),
    "relative name": ("pl/a.py", "from .. import tl"),
    "relative, from a package": ("pl/__init__.py", "from ..tl import latent"),
    "deep file": ("pl/deep/a.py", "from ...tl import latent"),
    "inside a function": ("nn/a.py", "def f():\n    from distaff.model import BetaVAE"),
    "for types, room not allowed": ("pp/a.py", "if TYPE_CHECKING:\n    from distaff.model import BetaVAE"),
    "in the else of TYPE_CHECKING": ("metrics/a.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import torch"),
    "types only, at run time": ("train/a.py", "from distaff.module import FactorModule"),
    "private file": ("metrics/a.py", "from distaff._compat import x"),
    "shared file imports a room": ("_checks.py", "from distaff.ops import x"),
    "third party": ("metrics/a.py", "import numpy, torch"),
    "third party, submodule": ("pl/a.py", "from scvi.model import SCVI"),
    "third party, not on the list": ("ops/a.py", "import pandas as pd"),
    "unknown room": ("attic/a.py", ""),
    "unknown file": ("_attic.py", ""),
}
ALLOWED = {
    "down": ("nn/a.py", "from distaff.ops import x\nfrom .._checks import error"),
    "itself": ("pl/a.py", "from . import b\nfrom .b import c"),
    "types only": ("train/a.py", "if TYPE_CHECKING:\n    from distaff.module import FactorModule"),
    "third party for types": ("metrics/a.py", "if typing.TYPE_CHECKING:\n    from anndata import AnnData"),
    "version": ("tl/a.py", "from distaff import __version__"),
    "compat": ("train/a.py", "from distaff._compat import x"),
    "standard library": ("ops/a.py", "import math"),
    "whole package": ("cli/a.py", "import distaff as ds"),
    "front door": ("__init__.py", "from distaff import tl"),
}


def write(root: Path, file: str, text: str) -> Path:
    path = root / "distaff" / file
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return root / "distaff"


@pytest.mark.parametrize("case", VIOLATIONS)
def test_checker_catches(case: str, tmp_path: Path) -> None:
    assert len(breaches(write(tmp_path, *VIOLATIONS[case]))) == 1


@pytest.mark.parametrize("case", ALLOWED)
def test_checker_allows(case: str, tmp_path: Path) -> None:
    assert breaches(write(tmp_path, *ALLOWED[case])) == []
