"""The states of all random generators, as plain data."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

__all__ = ["random_state", "set_random_state"]


def random_state() -> dict[str, Any]:
    """States of the global generators of Python, numpy and torch, those of GPUs in use included."""
    version, words, gauss = random.getstate()
    known: Any = np.random.get_state()  # noqa: NPY002 - to restore it
    _, keys, *position = known
    state: dict[str, Any] = {
        "python": [version, np.array(words), gauss],
        "numpy": [keys.astype(np.int64), *position],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` returned, as far as these devices are here."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    keys, *position = state["numpy"]
    np.random.set_state(("MT19937", keys.astype(np.uint32), *position))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_initialized() and len(state.get("cuda", [])) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    if torch.backends.mps.is_available() and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
