"""The files of a saved model: a kill leaves a whole model, and all is checked on reading.

``model.json`` is what counts. It knows the other files by their checksums. New ones have the first digits of
theirs in their name until ``model.json`` is replaced, which is one step of the disk: before it the folder
holds the old model, after it the new one.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
from anndata import AnnData
from torch import Tensor

from distaff._atomic import PARTIAL, locked, partial_files, sync_folder, write_synced
from distaff._checks import check_name, check_path, error, listing
from distaff.model._saved_copy import dump_copy, parse_copy
from distaff.model._saved_document import corrupt, dump_document, parse_document, sha256
from distaff.model._saved_tensors import dump_tensors, parse_tensors

__all__ = ["TRUST", "SavedFiles", "read_model", "saved_adata", "saved_document", "write_model"]

TRUST = (
    "A pickle runs any code that its author put into it, on this machine and with your rights. If you trust "
    "the author and the way the file came to you, load it with trust_pickle=True."
)
READ_ATTEMPTS = 3  # another process may put files in their places meanwhile
STAGED = r"(model\.[0-9a-f]{16}\.safetensors|adata\.[0-9a-f]{16}\.h5ad)"
Checksum = dict[str, Any]


@dataclass(frozen=True)
class SavedFiles:
    """Where the files of a model are.

    Parameters
    ----------
    folder
        Folder of the model.
    prefix
        What their names begin with.
    """

    folder: Path
    prefix: str = ""

    def __post_init__(self) -> None:
        if Path(f"{self.prefix}x").name != f"{self.prefix}x":
            raise error("prefix must be the start of a file's name", got=repr(self.prefix))

    @classmethod
    def of(cls, dir_path: Any, prefix: Any) -> SavedFiles:
        """Files under the arguments of ``save`` and ``load``."""
        return cls(check_path("dir_path", dir_path), "" if prefix is None else check_name("prefix", prefix))

    @property
    def document(self) -> Path:
        """All but tensors."""
        return self.folder / f"{self.prefix}model.json"

    @property
    def tensors(self) -> Path:
        """Weights and other arrays."""
        return self.folder / f"{self.prefix}model.safetensors"

    @property
    def copy(self) -> Path:
        """Both again, for the hub."""
        return self.folder / f"{self.prefix}model.pt"

    @property
    def adata(self) -> Path:
        """The data."""
        return self.folder / f"{self.prefix}adata.h5ad"

    def there(self) -> list[str]:
        """Names of those that exist."""
        own = (self.document, self.tensors, self.copy, self.adata)
        return [path.name for path in own if path.exists()]

    def current(self, path: Path, checksum: Checksum) -> Path:
        """Where a file with this checksum is: under a name of its own if it is not in its place yet."""
        staged = _staged(path, checksum)
        return staged if staged.is_file() else path


def write_model(
    files: SavedFiles,
    content: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    payload: Mapping[str, Any],
    write_adata: Callable[[Path], None] | None,
) -> None:
    """Put a model into its folder, in place of any other of that prefix.

    Parameters
    ----------
    files
        Where.
    content
        All but the tensors, as JSON.
    tensors
        The tensors.
    payload
        What scvi-tools finds in ``model.pt``.
    write_adata
        Writes the data to a path; None to leave them alone.
    """
    files.folder.mkdir(parents=True, exist_ok=True)
    with locked(files.folder), partial_files() as partial:
        _finish(files)
        new: dict[Path, Path] = {}

        def write(path: Path, data: bytes) -> Checksum:
            new[path] = partial(path)
            write_synced(new[path], data)
            return {"sha256": sha256(data), "bytes": len(data)}

        data = dump_tensors(tensors)
        checksums = {files.tensors: write(files.tensors, data)}
        if write_adata is not None:
            new[files.adata] = partial(files.adata)
            write_adata(new[files.adata])
            checksums[files.adata] = _checksum(new[files.adata], sync=True)
        document = dump_document(
            {**content, "tensors": checksums[files.tensors], "anndata": checksums.get(files.adata)}
        )
        write(files.document, document)
        write(files.copy, dump_copy(payload, document=document, tensors=data))
        _put_in_place(files, new, checksums)
    sync_folder(files.folder.absolute().parent)


def _finish(files: SavedFiles) -> None:
    """Put the files of the model that is there in their places, if a save was killed before it could."""
    with suppress(ValueError, FileNotFoundError):
        document = parse_document(files.document.read_bytes(), files.document)
        for path, key in ((files.tensors, "tensors"), (files.adata, "anndata")):
            if document.get(key) is not None:
                files.current(path, document[key]).replace(path)


def _put_in_place(files: SavedFiles, new: Mapping[Path, Path], checksums: Mapping[Path, Checksum]) -> None:
    staged = {path: _staged(path, checksum) for path, checksum in checksums.items()}
    for path, name in staged.items():
        new[path].replace(name)
    sync_folder(files.folder)
    new[files.document].replace(files.document)  # from here on it is the new model
    sync_folder(files.folder)
    new[files.copy].replace(files.copy)
    for path, name in staged.items():
        name.replace(path)
    sync_folder(files.folder)
    _remove_left_over(files)


def _remove_left_over(files: SavedFiles) -> None:
    """Delete what killed processes left; this one is the only one to write here."""
    own = {path.name for path in (files.document, files.tensors, files.copy, files.adata)}
    staged = re.compile(re.escape(files.prefix) + STAGED)
    for path in files.folder.iterdir():
        partial = re.fullmatch(PARTIAL, path.name)
        if staged.fullmatch(path.name) or (partial and partial["name"] in own):
            path.unlink(missing_ok=True)


def read_model(files: SavedFiles) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Return the JSON and the tensors of a model; None where the folder holds a foreign ``model.pt`` alone.

    Raises
    ------
    FileNotFoundError
        If there is no model.
    ValueError
        If a file is corrupt.
    """
    for _ in range(READ_ATTEMPTS - 1):
        with suppress(ValueError, FileNotFoundError):
            return _read(files)
    return _read(files)


def _read(files: SavedFiles) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    if not files.document.is_file():
        return _read_copy(files)
    document = parse_document(files.document.read_bytes(), files.document)
    tensors = _read_checked(files.current(files.tensors, document["tensors"]), document["tensors"])
    return document, parse_tensors(tensors, files.tensors)


def _read_copy(files: SavedFiles) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    if not files.copy.is_file():
        raise error(
            f"{files.folder} must hold a saved model ({files.document.name})",
            got=listing(files.there()) or "no file of a model",
            fix="Check the path and the prefix.",
            kind=FileNotFoundError,
        )
    parts = parse_copy(files.copy)
    if parts is None:
        return None
    document = parse_document(parts[0], f"{files.copy} (JSON)")
    _check_sum(files.copy, parts[1], document["tensors"])
    return document, parse_tensors(parts[1], files.copy)


def saved_document(files: SavedFiles) -> dict[str, Any] | None:
    """Return the JSON of a model; None where the folder holds a foreign ``model.pt`` alone, or no model.

    Raises
    ------
    ValueError
        If it is corrupt.
    """
    if files.document.is_file():
        return parse_document(files.document.read_bytes(), files.document)
    parts = parse_copy(files.copy) if files.copy.is_file() else None
    return None if parts is None else parse_document(parts[0], f"{files.copy} (JSON)")


def _read_checked(path: Path, checksum: Checksum) -> bytes:
    """Bytes of a file that must have this checksum."""
    if not path.is_file():
        raise error(f"{path} must be there", got="no such file", fix="Get the model anew.")
    if path.stat().st_size != checksum["bytes"]:
        raise corrupt(path, f"{path.stat().st_size} bytes in place of {checksum['bytes']}")
    data = path.read_bytes()
    _check_sum(path, data, checksum)
    return data


def _check_sum(path: Path, data: bytes, checksum: Checksum) -> None:
    if sha256(data) != checksum["sha256"]:
        raise corrupt(path, "its content does not fit the checksum in the model's JSON")


def _checksum(path: Path, *, sync: bool = False) -> Checksum:
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _staged(path: Path, checksum: Checksum) -> Path:
    """Name of a file until it is in its place."""
    return path.with_name(f"{path.stem}.{checksum['sha256'][:16]}{path.suffix}")


def saved_adata(files: SavedFiles, checksum: Checksum | None) -> AnnData | None:
    """Return the data in the folder, None with a warning if there are none."""
    path = files.adata if checksum is None else files.current(files.adata, checksum)
    if not path.is_file():
        warnings.warn(
            f"{files.folder} holds no data ({files.adata.name}) and adata was not passed: the model is "
            "loaded without data.",
            stacklevel=3,
        )
        return None
    if checksum is None:
        message = f"{path} was not saved with the model: nothing tells whether it is whole, or of the model."
        warnings.warn(message, stacklevel=3)
    elif _checksum(path) != checksum:
        raise corrupt(path, "it does not fit the checksum in the model's JSON")
    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as exception:
        raise corrupt(path, exception) from exception
