"""Files that appear whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["PARTIAL", "locked", "partial_files", "sync_folder", "write_synced"]

PARTIAL = r"\.(?P<name>.+)\.[0-9a-f]{8}\.partial"  # names of files that are being written


def write_synced(path: Path, data: bytes) -> None:
    """Write ``data`` and have the disk hold it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk hold the names in ``folder``."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def partial_files() -> Iterator[Callable[[Path], Path]]:
    """Names to write under until all is written; what is left of them at the end is deleted.

    Yields
    ------
    Function that takes the final path and returns another in the same folder, hence on the same disk:
    ``os.replace`` is then one step.
    """
    paths = []

    def partial(target: Path) -> Path:
        paths.append(target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial"))
        return paths[-1]

    try:
        yield partial
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write into ``folder``, where the system can: a killed one lets go of it."""
    if os.name == "nt":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
