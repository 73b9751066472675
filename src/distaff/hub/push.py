"""Publish a model on Hugging Face or S3."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from distaff._checks import check_flag, error
from distaff._keys import DEFAULT_KEY
from distaff.hub._folder import check_model, check_save_anndata, write_shared
from distaff.hub._huggingface import push_repository
from distaff.hub._names import CARD, METADATA, MODEL, PICKLE, is_repository, s3_place
from distaff.hub._s3 import push_s3
from distaff.hub.model_card import settled_card

__all__ = ["push"]

OF_A_FOLDER = (CARD, METADATA, MODEL, PICKLE)


def push(
    model: Any,
    repo: str,
    *,
    save_anndata: Literal["minified", "full", False] = "minified",
    description: str | None = None,
    license: str | None = None,
    private: bool = True,
    overwrite: bool = False,
    key: str = DEFAULT_KEY,
) -> str:
    """Publish a model on Hugging Face or S3.

    Look at what you publish first: :func:`save` the model, read the card, the names of ``obs`` and those of
    batches and donors, and push the folder.

    Parameters
    ----------
    model
        Trained model of :mod:`distaff.model`, or a folder that :func:`save` wrote: it is taken as it is, with
        what you changed in its ``README.md``, and ``save_anndata``, ``description``, ``license`` and ``key``
        have no part.
    repo
        Repository of Hugging Face, such as ``"lab/kang_pbmc"``, or address on S3, such as
        ``"s3://bucket/kang_pbmc"``. A repository is created if it is not there.
    save_anndata
        Which data go with it: ``"minified"``, the posterior of each cell in place of its counts;
        ``"full"``, with counts; False for none. Both hold ``obs`` with all its columns.
    description
        What the model is of, and for; Markdown for the card.
    license
        Licence of the model, as Hugging Face writes it, such as "cc-by-4.0" or "mit".
    private
        Let nobody but you see a repository that is created; make it public there, once you have looked at it.
        On S3 the bucket decides.
    overwrite
        Replace a model that is there. Hugging Face keeps the one before, S3 does not.
    key
        Prefix of the slots whose scores and names of factors the card tells.

    Returns
    -------
    The address. On Hugging Face it ends with the commit, by which :func:`load` finds this very model.

    Raises
    ------
    TypeError
        If the model is no model of distaff, or a text is none.
    ValueError
        If the place is taken or its name malformed, the folder is not whole, the model is not trained, its
        data cannot be saved so, or Hugging Face does not know the licence.
    ConnectionError
        If Hugging Face or S3 is out of reach.
    PermissionError
        If you may not write there.
    ImportError
        If a package of ``distaff[hub]`` is not installed.

    Notes
    -----
    Who you are is asked of the tools' own stores (``hf auth login`` or ``HF_TOKEN``; the files and ``AWS_``
    variables of boto3). Nothing of it is written anywhere.

    Examples
    --------
    >>> import distaff as ds
    >>> ds.hub.push("kang", "lab/kang_pbmc")  # doctest: +SKIP
    """
    check_flag("private", private)
    check_flag("overwrite", overwrite)
    _check_place(repo)
    if isinstance(model, str | PathLike):
        return _upload(_whole(Path(model).expanduser()), repo, private=private, overwrite=overwrite)
    check_model(model)
    check_save_anndata(model, save_anndata)
    card = settled_card(
        model,
        description=description,
        license=license,
        key=key,
        place=repo.rstrip("/"),
        has_cells=save_anndata is not False,
    )
    with TemporaryDirectory() as folder:
        write_shared(model, Path(folder), card=card, save_anndata=save_anndata)
        return _upload(Path(folder), repo, private=private, overwrite=overwrite)


def _check_place(repo: Any) -> None:
    if not isinstance(repo, str):
        raise error("repo must be a text", got=repr(repo), kind=TypeError)
    if s3_place(repo) is None and not is_repository(repo):
        raise error(
            "repo must be name/name on Hugging Face (letters, digits, '-', '_' and '.'), or s3://bucket/path",
            got=repr(repo),
        )


def _whole(folder: Path) -> Path:
    missing = [name for name in OF_A_FOLDER if not (folder / name).is_file()]
    if missing:
        raise error(
            f"{folder} must be a folder that distaff.hub.save wrote",
            got=f"none, or one without {', '.join(missing)}",
        )
    return folder


def _upload(folder: Path, repo: str, *, private: bool, overwrite: bool) -> str:
    place = s3_place(repo)
    if place is not None:
        return push_s3(folder, place, overwrite=overwrite)
    return push_repository(folder, repo, private=private, overwrite=overwrite)
