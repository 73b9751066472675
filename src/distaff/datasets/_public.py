"""Files of public data: looked for on this machine first, else downloaded and held against their checksum."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata

from distaff._checks import check_flag, error
from distaff._keys import SOURCE

__all__ = ["PublicFile", "Source", "load", "read_h5ad"]

VARIABLE = "DISTAFF_DATA"
TIMEOUT_S = 60  # without a byte from the server
HEADERS = {"User-Agent": "distaff"}  # some servers refuse the ones of libraries


@dataclass(frozen=True)
class PublicFile:
    """A file, known by its checksum; without an ``address`` it can only be found, not fetched."""

    name: str
    sha256: str
    address: str | None = None

    def __str__(self) -> str:
        where = f"from {self.address}, " if self.address else ""
        return f"{self.name} ({where}sha256 {self.sha256})"


@dataclass(frozen=True)
class Source:
    """One way to a data set: the files that it takes, and what makes counts and labels of them."""

    files: tuple[PublicFile, ...]
    read: Callable[..., anndata.AnnData]

    def find(self, folders: Sequence[Path]) -> list[Path] | None:
        """Paths of all files, each in the first folder that has it; None if one is in no folder."""
        paths = []
        for file in self.files:
            path = next((place / file.name for place in folders if (place / file.name).is_file()), None)
            if path is None:
                return None
            paths.append(path)
        return paths


def load(
    title: str, sources: Sequence[Source], *, folder: str | os.PathLike[str] | None, download: bool
) -> anndata.AnnData:
    """Read the first source that is on this machine; else download the first one that has addresses."""
    check_flag("download", download)
    named = _named(folder)
    folders = named or [*_from_environment(), _cache()]
    for source in sources:
        paths = source.find(folders)
        if paths is not None:
            return _read(source, paths)
    for source in sources:
        if download and all(file.address for file in source.files):
            return _read(source, [_fetch(file, folders) for file in source.files])
    choices = "; or ".join(" and ".join(map(str, source.files)) for source in sources)
    raise error(
        f"{title} must be on this machine" + ("" if download else " with download=False"),
        got="none of its files in " + ", ".join(map(str, folders)),
        fix=f"Put {choices} into one of these folders.",
        kind=FileNotFoundError,
    )


def read_h5ad(path: Path) -> anndata.AnnData:
    """Read a file, also one of the old format or with repeated gene names, as public files often are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Variable names are not unique")
        warnings.simplefilter("ignore", anndata.OldFormatWarning)
        return anndata.read_h5ad(path)


def _named(folder: str | os.PathLike[str] | None) -> list[Path]:
    if folder is None:
        return []
    if not isinstance(folder, str | os.PathLike) or not str(folder) or "\0" in str(folder):
        raise error("folder must be the path of a folder", got=repr(folder), kind=TypeError)
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise error("folder must be the path of a folder", got=f"the file {path}")
    return [path]


def _from_environment() -> list[Path]:
    value = os.environ.get(VARIABLE, "")
    return [Path(value).expanduser()] if value and Path(value).expanduser().is_dir() else []


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("distaff"))


def _fetch(file: PublicFile, folders: Sequence[Path]) -> Path:
    """Path of a file that is in a folder, or was just downloaded to the last of them."""
    import pooch

    found = Source((file,), read_h5ad).find(folders)
    if found:
        return found[0]
    target = folders[-1] / file.name
    fix = f"Or download {file} yourself and put it into {folders[-1]}."
    try:
        pooch.retrieve(
            file.address,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=folders[-1],
            downloader=pooch.HTTPDownloader(headers=HEADERS, timeout=TIMEOUT_S),
        )
    except ValueError as wrong:  # pooch removes what does not have the checksum
        raise error(
            f"{file.address} must have sha256 {file.sha256}", got=_in_short(wrong), fix=fix
        ) from wrong
    except OSError as failure:  # no network, no such page, a full disk
        raise error(
            f"{file.address} must be reachable and {folders[-1]} writable",
            got=f"{type(failure).__name__}: {_in_short(failure)}",
            fix=fix,
            kind=ConnectionError,
        ) from failure
    return target


def _in_short(failure: Exception) -> str:
    return " ".join(str(failure).split())[:200]


def _read(source: Source, paths: Sequence[Path]) -> anndata.AnnData:
    for file, path in zip(source.files, paths, strict=True):
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != file.sha256:
            raise error(
                f"{path} must have sha256 {file.sha256}",
                got=found,
                fix="It is damaged or another file: remove or rename it.",
            )
    adata = source.read(*paths)
    adata.uns[SOURCE] = {file.name: file.sha256 for file in source.files}
    return adata
