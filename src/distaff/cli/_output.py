"""A folder of results: most appear whole or not at all, those that a second call goes on from grow."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distaff._atomic import beside, left_over, locked, partial_folder, sync_folder, write_whole
from distaff._checks import error, listing

__all__ = [
    "RECORD",
    "add_to_record",
    "check_apart",
    "check_growing",
    "check_target",
    "output_folder",
    "read_record",
    "write_record",
]

RECORD = "run.json"  # what was run, and the files it wrote: --overwrite deletes no others
PACKAGES = ("distaff", "scvi-tools", "torch", "anndata", "scanpy")


def check_target(target: Path, *, overwrite: bool) -> None:
    """Check that ``target`` can be written, and replaced if it is there.

    Raises
    ------
    ValueError
        If it is no folder, holds results without ``overwrite``, or holds files that distaff did not write.
    """
    if not target.parent.is_dir():
        raise error(
            "--output must lie in an existing folder", got=repr(str(target)), fix=f"Create {target.parent}."
        )
    if not os.access(target.parent, os.W_OK):
        raise error("--output must lie in a folder that can be written", got=repr(str(target)))
    _put_back(target)
    if not target.exists():
        return
    if not target.is_dir():
        raise error("--output must be a folder", got=f"the file {str(target)!r}")
    if target.is_mount() or Path.cwd().is_relative_to(target):
        fix = "Name a folder inside it."
        raise error("--output must be a folder that can be replaced", got=repr(str(target)), fix=fix)
    if not any(target.iterdir()):
        return
    if not overwrite:
        fix = "Choose another folder, or pass --overwrite."
        raise error("--output must be a new or empty folder", got=repr(str(target)), fix=fix)
    foreign = sorted(_files(target) - _recorded(target))
    if foreign:
        raise error(
            f"--overwrite must replace nothing but what distaff wrote, and {str(target)!r} holds other files",
            got=listing(foreign),
            fix="Move them, or choose another folder.",
        )


def check_apart(data: Path, target: Path) -> None:
    """Check that replacing ``target`` does not delete the input.

    Raises
    ------
    ValueError
        If ``data`` lies in ``target``.
    """
    if data.resolve().is_relative_to(target):
        raise error("--output must not hold the input", got=f"{str(data)!r} in {str(target)!r}")


def check_growing(target: Path, command: str) -> None:
    """Check that ``target`` can grow: it is new, empty, or was begun by the same command.

    Raises
    ------
    ValueError
        If it is no folder that can be written, or holds something else.
    """
    if not target.exists():
        check_target(target, overwrite=False)
        return
    if not target.is_dir() or not os.access(target, os.W_OK):
        raise error("--output must be a folder that can be written", got=repr(str(target)))
    torn = ".partial"  # left by a process that was killed, maybe before its record was there
    others = any(not path.name.endswith(torn) for path in target.iterdir())
    if others and read_record(target).get("command") != command:
        raise error(
            f"--output must be new, empty, or begun by distaff {command}",
            got=f"{str(target)!r}, which holds other files",
            fix="Choose another folder.",
        )


@contextmanager
def output_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Folder to write into; it becomes ``target`` at the end, or vanishes if anything is raised.

    Parameters
    ----------
    target
        Where the results shall be.
    overwrite
        Replace results that are there, at the very end.

    Yields
    ------
    An empty folder on the same disk.
    """
    with partial_folder(target) as folder:
        yield folder
        _sync(folder)
        _put_in_place(folder, target, overwrite=overwrite)


def write_record(folder: Path, command: str, arguments: Mapping[str, Any]) -> None:
    """Write what was run, with which versions, and the files of ``folder``."""
    record = {
        "command": command,
        "arguments": dict(arguments),
        "versions": {package: version(package) for package in PACKAGES},
        "files": sorted(_files(folder) | {RECORD}),
    }
    write_whole(folder / RECORD, f"{json.dumps(record, indent=2, default=str)}\n".encode())


def read_record(folder: Path) -> dict[str, Any]:
    """What was run in ``folder``; nothing where its record is missing or is not ours."""
    try:
        record = json.loads((folder / RECORD).read_text())
        return record if "distaff" in record["versions"] and isinstance(record["files"], list) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def add_to_record(folder: Path, name: str) -> None:
    """Name a file that a later command wrote into ``folder``, so that --overwrite may replace it too."""
    record = read_record(folder)
    if record and name not in record["files"]:
        record["files"] = sorted([*record["files"], name])
        write_whole(folder / RECORD, f"{json.dumps(record, indent=2)}\n".encode())


def _put_in_place(partial: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite or not target.exists():
        partial.rename(target)  # fails if results have appeared there meanwhile
        sync_folder(target.parent)
        return
    check_target(target, overwrite=True)  # again: files may have been added during the run
    old = beside(target, "old")
    with locked(target.parent):
        target.rename(old)
        try:
            partial.rename(target)
        except BaseException:
            old.rename(target)
            raise
        sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)


def _put_back(target: Path) -> None:
    """Where a process was killed in between: give results their name back, or delete those replaced."""
    with locked(target.parent):
        for old in left_over(target, "old"):
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(target)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _recorded(folder: Path) -> set[str]:
    """Files that an earlier run wrote."""
    return set(read_record(folder).get("files", ()))


def _sync(folder: Path) -> None:
    """Have the disk hold all of ``folder`` before it gets its name."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
