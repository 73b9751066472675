"""Files and folders that appear whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = [
    "PARTIAL",
    "beside",
    "left_over",
    "locked",
    "partial_files",
    "partial_folder",
    "sync_folder",
    "write_synced",
    "write_whole",
]

PARTIAL = r"\.(?P<name>.+)\.[0-9a-f]{8}\.partial"  # names of what is being written


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


def beside(target: Path, suffix: str) -> Path:
    """Another name in the same folder, hence on the same disk: renaming is then one step."""
    return target.with_name(f".{target.name}.{uuid4().hex[:8]}.{suffix}")


@contextmanager
def partial_files() -> Iterator[Callable[[Path], Path]]:
    """Names to write under until all is written; what is left of them at the end is deleted.

    Yields
    ------
    Function that takes the final path and returns another beside it.
    """
    paths = []

    def partial(target: Path) -> Path:
        paths.append(beside(target, "partial"))
        return paths[-1]

    try:
        yield partial
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Empty folder to write into, on the disk of ``target``; unless it is moved, it is deleted at the end.

    Those of the same target that killed processes left are deleted first.
    """
    with locked(target.parent):
        for path in left_over(target, "partial"):
            _delete(path)
        partial = beside(target, "partial")
        partial.mkdir()
        descriptor = _hold(partial)
    try:
        folder = partial / target.name
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _let_go(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all; what killed writers of it left is deleted."""
    with locked(path.parent), partial_files() as partial:
        for left in left_over(path, "partial"):
            _delete(left)
        aside = partial(path)
        write_synced(aside, data)
        aside.replace(path)
        sync_folder(path.parent)


def left_over(target: Path, suffix: str) -> list[Path]:
    """What :func:`beside` named and no process holds any longer; none where that cannot be told."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.{suffix}")
    with suppress(OSError):
        return [path for path in target.parent.iterdir() if name.fullmatch(path.name) and _is_free(path)]
    return []


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write into ``folder``, where the system can: a killed one lets go of it."""
    descriptor = _hold(folder)
    try:
        yield
    finally:
        _let_go(descriptor)


def _hold(path: Path) -> int | None:
    """Lock a file or folder for this process, once no other has it."""
    if os.name == "nt":
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):  # a network disk without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _let_go(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _is_free(path: Path) -> bool:
    """Whether it is certain that no process has a lock on it."""
    if os.name == "nt":
        return False
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
