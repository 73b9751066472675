"""Measures that need a process of their own: memory of training, and the first call of ``train``.

``python benchmarks/_child.py memory|first DATA.h5ad LinearVAE|LinearSCVI BATCH_SIZE``, one line of JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from pathlib import Path

import anndata
import torch
from _contenders import linear
from _timing import pinned

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what the kernel takes for: the peak is what is in use now


def megabytes(name: str) -> float:
    """Resident memory now (VmRSS) or at its peak (VmHWM)."""
    return int(re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())[1]) / 1024


def memory(adata: anndata.AnnData, name: str, batch_size: int) -> dict[str, float]:
    """What training adds to what is resident once counts and model are loaded."""
    contender = next(c for c in linear(adata) if c.name == name)
    before = megabytes("VmRSS")
    CLEAR.write_text(RESET_PEAK)
    contender.train(1, batch_size)
    return {"loaded": before, "added": megabytes("VmHWM") - before}


def first(adata: anndata.AnnData, name: str, batch_size: int) -> dict[str, float]:
    """Seconds of the first call of ``train``, one epoch, and of the second."""
    contender = next(c for c in linear(adata) if c.name == name)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        contender.train(1, batch_size)
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "second": seconds[1]}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    what, path, model, size = sys.argv[1:]
    torch.set_num_threads(1)
    pinned(1)
    measure = {"memory": memory, "first": first}[what]
    print(json.dumps(measure(anndata.read_h5ad(path), model, int(size))))
