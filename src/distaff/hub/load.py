"""Load a shared model from a folder, Hugging Face or S3."""

from __future__ import annotations

import json
from importlib import import_module
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from distaff import model as models
from distaff._checks import check_adata, check_flag, error
from distaff.hub._huggingface import pull_repository
from distaff.hub._names import DATA, METADATA, PICKLE, is_repository, s3_place
from distaff.hub._s3 import pull_s3
from distaff.model._saved_folder import TRUST, SavedFiles, saved_document

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["load"]

OURS = "distaff.model"


def load(
    path_or_repo: str | PathLike[str],
    *,
    adata: AnnData | Literal[False] | None = None,
    revision: str | None = None,
    trust_pickle: bool = False,
) -> Any:
    """Load a model that was shared; nothing is unpickled, and no code of the files is run.

    Parameters
    ----------
    path_or_repo
        A folder, a repository of Hugging Face such as ``"lab/kang_pbmc"``, or an address on S3 such as
        ``"s3://bucket/kang_pbmc"``. A folder of that name comes first.
    adata
        Data with the genes of the model, in its order. None takes those that were saved with the model, and
        without any loads the model alone, as False always does.
    revision
        Branch, tag or commit of the repository of Hugging Face; None for its newest state. A commit always
        brings the same files.
    trust_pickle
        Load models that scvi-tools saved too, whose ``model.pt`` is a pickle. **A pickle runs any code that
        its author put into it**, on this machine and with your rights: pass True only if you trust the
        author and the way the file came to you. Models of distaff never need it.

    Returns
    -------
    The model.

    Raises
    ------
    TypeError
        If an argument is of another kind than it must be.
    FileNotFoundError
        If there is no model.
    ConnectionError
        If Hugging Face or S3 is out of reach, and the model not in the cache.
    PermissionError
        If the place is not open to you.
    ValueError
        If a file is corrupt or needs ``trust_pickle=True``, or genes of ``adata`` are not those of the model.
    ImportError
        If a package of ``distaff[hub]`` is not installed.

    Examples
    --------
    >>> import distaff as ds
    >>> model = ds.hub.load("lab/kang_pbmc")  # doctest: +SKIP
    """
    check_flag("trust_pickle", trust_pickle)
    if adata is not None and adata is not False:
        check_adata(adata)
    if not isinstance(path_or_repo, str | PathLike) or not str(path_or_repo):
        raise error("path_or_repo must be a folder or an address", got=repr(path_or_repo), kind=TypeError)
    if not (revision is None or isinstance(revision, str)):
        raise error("revision must be a text", got=repr(revision), kind=TypeError)
    name, folder = str(path_or_repo), Path(path_or_repo).expanduser()
    place = s3_place(name) if isinstance(path_or_repo, str) else None
    remote = isinstance(path_or_repo, str) and not folder.exists() and place is None and is_repository(name)
    if revision is not None and not remote:
        raise error("revision must be None but for a repository of Hugging Face", got=repr(revision))
    if place is not None:
        with TemporaryDirectory() as pulled:
            pull_s3(place, Path(pulled))
            return _load(Path(pulled), name, adata, trust_pickle=trust_pickle)
    if remote:
        folder = pull_repository(name, revision)
    elif not folder.is_dir():
        raise error(
            "path_or_repo must be a folder, a repository (name/name) or an address on S3 (s3://bucket/path)",
            got=f"{name!r}, {'a file' if folder.exists() else 'none of these'}",
            kind=FileNotFoundError,
        )
    return _load(folder, name, adata, trust_pickle=trust_pickle)


def _load(folder: Path, name: str, adata: Any, *, trust_pickle: bool) -> Any:
    """Load a folder; ``name`` is what messages call it."""
    document = saved_document(SavedFiles(folder))
    if document is None:
        return _load_foreign(folder, name, adata, trust_pickle=trust_pickle)
    cls = document["class"]
    if cls not in models.__all__:
        raise error(
            f"{name} must hold a model that this version of distaff knows",
            got=repr(cls),
            fix="Install a later version of distaff.",
        )
    if adata is None and document["anndata"] is None and not (folder / DATA).is_file():
        adata = False
    return getattr(models, cls).load(folder, adata=adata)


def _load_foreign(folder: Path, name: str, adata: Any, *, trust_pickle: bool) -> Any:
    if not (folder / PICKLE).is_file():
        raise error(f"{name} must hold a model", got="none", fix="Check the name.", kind=FileNotFoundError)
    if not trust_pickle:
        raise error(f"{name} must be a model that distaff saved", got="a pickle", fix=TRUST)
    module, cls = _class_names(folder, name)
    try:
        found = getattr(import_module(module), cls)
    except (ImportError, AttributeError) as exception:
        raise error(f"The class of the model in {name} must be installed", got=f"{exception}") from exception
    if adata is None and not (folder / DATA).is_file():
        adata = False
    options = {"trust_pickle": True} if module == OURS else {}
    return found.load(str(folder), adata=adata, **options)


def _class_names(folder: Path, name: str) -> tuple[str, str]:
    """Module and class, as scvi-tools' metadata tell."""
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        module, cls = metadata.get("model_parent_module", "scvi.model"), metadata["model_cls_name"]
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as exception:
        got = f"{type(exception).__name__}: {exception}"
        raise error(f"{name} must have metadata of scvi-tools ({METADATA})", got=got) from exception
    return str(module), str(cls)
