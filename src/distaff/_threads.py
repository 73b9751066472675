"""How many threads a run takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread unless ``OMP_NUM_THREADS`` says how many.

    Minibatches are small: a second thread gains little, and waits for a core that a neighbour holds.
    """
    n_threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:  # torch has read it, also in forms such as "4,2"
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
