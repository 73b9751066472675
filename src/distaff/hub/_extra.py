"""Packages that only sharing needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from distaff._checks import error

__all__ = ["needed"]


def needed(package: str) -> Any:
    """Import a package of the extra ``hub``, or say how to install it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as exception:
        raise error(
            f"{exception.name} must be installed to share models",
            got="no such package",
            fix='Run: pip install "distaff[hub]"',
            kind=ImportError,
        ) from exception
