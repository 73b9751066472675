"""Random numbers that leave the user's generators alone."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import Parameter, getdoc, signature
from typing import Any

import numpy as np
import scvi
import torch

from distaff._checks import check_seed

__all__ = ["draw_seed", "isolated_rng", "seeded"]

_isolated: ContextVar[bool] = ContextVar("distaff_isolated_rng", default=False)

SEED_DOC = """seed
    Seed of all that is random here; the global generators are left as they were.
"""


def draw_seed() -> int:
    """Return ``scvi.settings.seed`` if the user set one, else a fresh seed from the operating system."""
    return secrets.randbelow(2**31) if scvi.settings.seed is None else int(scvi.settings.seed)


@contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch, and restore their states afterwards.

    Inside another such context nothing is seeded anew: the outer one rules.
    """
    seed = check_seed("seed", seed)  # one of numpy is none to Python
    if _isolated.get():
        yield
        return
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - to restore it
    token = _isolated.set(True)
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - scvi-tools draws from it
            torch.manual_seed(seed)
            yield
    finally:
        _isolated.reset(token)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def seeded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give a method of scvi-tools that draws random numbers a keyword argument ``seed`` (default 0)."""

    @wraps(method)
    def run(self: Any, *args: Any, seed: int = 0, **kwargs: Any) -> Any:
        with isolated_rng(seed):
            return method(self, *args, **kwargs)

    own = signature(method)
    parameters = list(own.parameters.values())
    seed_at = next((i for i, p in enumerate(parameters) if p.kind is Parameter.VAR_KEYWORD), len(parameters))
    parameters.insert(seed_at, Parameter("seed", Parameter.KEYWORD_ONLY, default=0, annotation="int"))
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__doc__ = _with_seed(getdoc(method) or "")
    return run


def _with_seed(doc: str) -> str:
    """Insert the argument where the list of parameters ends, before further keyword arguments."""
    ends = [at for at in (doc.find("\n**"), doc.find("\n\nReturns\n"), doc.find("\n\nNotes\n")) if at >= 0]
    at = min(ends) + 1 if ends else len(doc)
    return f"{doc[:at]}{SEED_DOC}{doc[at:]}"
