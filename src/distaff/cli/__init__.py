"""The ``distaff`` command: it calls the public functions and writes what they give."""

from distaff.cli._main import main

__all__ = ["main"]
