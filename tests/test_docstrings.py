"""Docstrings and signatures of all public objects say the same."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import distaff

# Rooms that users call: all parameters and results must be documented. The other rooms are for readers
# of the code: there a short docstring is enough, but a "Parameters" section must be right.
USER_ROOMS = {"datasets", "html", "hub", "metrics", "model", "pl", "pp", "tl"}

SECTION = re.compile(
    r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}\n(?P<body>.*?)(?=^[A-Z][A-Za-z ]+\n-{3,}\n|\Z)", re.M | re.S
)


def sections(docstring: str) -> dict[str, str]:
    """Bodies of the numpydoc sections."""
    return {match["title"]: match["body"] for match in SECTION.finditer(inspect.cleandoc(docstring) + "\n")}


def documented_parameters(body: str) -> list[str]:
    """Names in a "Parameters" section: the unindented lines, which may hold several names and a type."""
    heads = [line for line in body.splitlines() if line and not line[0].isspace()]
    return [name.strip().lstrip("\\*") for head in heads for name in head.split(" :")[0].split(",")]


def signature_of(obj: Any) -> inspect.Signature:
    """Signature without ``self``; none for an exception that takes what all exceptions take."""
    if inspect.isclass(obj) and issubclass(obj, Exception) and "__init__" not in vars(obj):
        return inspect.Signature()
    signature = inspect.signature(obj)
    parameters = [p for p in signature.parameters.values() if p.name not in {"self", "cls"}]
    return signature.replace(parameters=parameters)


def returns_something(signature: inspect.Signature) -> bool:
    annotation = signature.return_annotation
    name = getattr(annotation, "__name__", str(annotation))
    return annotation is not inspect.Signature.empty and name not in {"None", "NoneType", "NoReturn", "Never"}


def problems(obj: Any, *, complete: bool) -> list[str]:
    """What is wrong with the docstring of ``obj``; ``complete`` asks for all sections that apply."""
    if not (obj.__doc__ or "").strip():
        return ["has no docstring"]
    if isinstance(obj, property):
        return []
    found = []
    parts = sections(obj.__doc__)
    signature = signature_of(obj)
    expected = list(signature.parameters)
    documented = documented_parameters(parts.get("Parameters", ""))
    if documented != expected and (complete or "Parameters" in parts):
        found.append(f"documents the parameters {documented}, its signature has {expected}")
    has_result = returns_something(signature) and not inspect.isclass(obj)
    if complete and has_result and not parts.keys() & {"Returns", "Yields"}:
        found.append("has no Returns section")
    if "Returns" in parts and not has_result:
        found.append("has a Returns section, but returns nothing")
    return found


def is_ours(obj: Any) -> bool:
    return str(getattr(obj, "__module__", "")).split(".")[0] == distaff.__name__


def own_methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of ``cls`` that this package defines, inherited ones too."""
    for name in dir(cls):
        raw = inspect.getattr_static(cls, name)
        function = raw.fget if isinstance(raw, property) else getattr(raw, "__func__", raw)
        if not name.startswith("_") and is_ours(function) and (inspect.isfunction(function)):
            yield name, raw if isinstance(raw, property) else function


def public_objects() -> dict[str, tuple[Any, bool]]:
    """Dotted name -> (object, whether a user room holds it); each object once."""
    rooms = [name for _, name, is_package in pkgutil.iter_modules(distaff.__path__) if is_package]
    found: dict[str, tuple[Any, bool]] = {}
    seen: set[int] = set()

    def add(name: str, obj: Any, complete: bool) -> None:
        if id(obj) not in seen:
            seen.add(id(obj))
            found[name] = (obj, complete)

    # user rooms first: what they share with inner rooms is held to the stricter rule
    for room in sorted((r for r in rooms if not r.startswith("_")), key=lambda r: (r not in USER_ROOMS, r)):
        module = import_module(f"{distaff.__name__}.{room}")
        complete = room in USER_ROOMS
        for name in getattr(module, "__all__", ()):
            obj = getattr(module, name)
            if inspect.isclass(obj):
                for method, function in own_methods(obj):
                    add(f"{room}.{name}.{method}", function, complete)
            if callable(obj) and not inspect.isdatadescriptor(obj):
                add(f"{room}.{name}", obj, complete)
    for name in getattr(distaff, "__all__", ()):
        obj = getattr(distaff, name)
        if callable(obj):
            add(name, obj, True)
    return found


PUBLIC = public_objects()


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstring_matches_signature(name: str) -> None:
    obj, complete = PUBLIC[name]
    assert problems(obj, complete=complete) == []


def test_all_names_exist() -> None:
    for _, room, _ in pkgutil.iter_modules(distaff.__path__):
        if room == "__main__":  # importing it starts the command
            continue
        module = import_module(f"{distaff.__name__}.{room}")
        missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
        assert missing == [], f"{module.__name__}.__all__ names what is not there"


def test_cited_papers_are_in_the_bibliography() -> None:
    root = Path(__file__).parents[1]
    bibliography = root / "docs" / "references.bib"
    if not bibliography.exists():
        pytest.skip("the source distribution has no docs")
    known = set(re.findall(r"^@\w+\{([^,]+),", bibliography.read_text(encoding="utf-8"), re.M))
    texts = [file.read_text(encoding="utf-8") for file in (root / "src").rglob("*.py")]
    cited = {
        key.strip()
        for text in texts
        for keys in re.findall(r":cite:\w+:`([^`]+)`", text)
        for key in keys.split(",")
    }
    assert sorted(cited - known) == []


def good(a: int, b: int, *args: int, c: int = 0, **kwargs: int) -> int:
    """Add.

    Parameters
    ----------
    a, b
        Terms.
    *args
        More terms.
    c : int
        One more.
    **kwargs
        And more.

    Returns
    -------
    Their sum.
    """
    raise NotImplementedError


def missing_section(a: int) -> None:
    """Do."""


def missing_parameter(a: int, b: int) -> None:
    """Do.

    Parameters
    ----------
    a
        First.
    """


def invented_parameter(a: int) -> None:
    """Do.

    Parameters
    ----------
    a
        First.
    b
        No such thing.
    """


def wrong_order(a: int, b: int) -> None:
    """Do.

    Parameters
    ----------
    b
        Second.
    a
        First.
    """


def missing_returns(a: int) -> int:
    """Do.

    Parameters
    ----------
    a
        First.
    """
    raise NotImplementedError


def needless_returns() -> None:
    """Do.

    Returns
    -------
    Nothing at all.
    """


def no_docstring(a: int) -> None:
    pass


class WrongClass:
    """A class.

    Parameters
    ----------
    b
        No such thing.
    """

    def __init__(self, a: int) -> None:
        pass


def test_checker_accepts_a_good_docstring() -> None:
    assert problems(good, complete=True) == []
    assert problems(missing_section, complete=False) == []


@pytest.mark.parametrize(
    "obj",
    [
        missing_section,
        missing_parameter,
        invented_parameter,
        wrong_order,
        missing_returns,
        needless_returns,
        no_docstring,
        WrongClass,
    ],
)
def test_checker_catches(obj: Callable) -> None:
    assert len(problems(obj, complete=True)) == 1
