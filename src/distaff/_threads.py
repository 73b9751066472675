"""How many threads a run takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]

# as torch has read it, also in forms such as "4,2", before another library changed it
WANTED = torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, or as many as ``OMP_NUM_THREADS`` says; afterwards as many as before.

    Minibatches are small: a second thread gains little, and waits for a core that a neighbour holds. Other
    libraries change the number for good: the loess that finds variable genes takes all cores.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(WANTED)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
