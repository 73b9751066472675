"""Repositories of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distaff._checks import error, listing
from distaff.hub._extra import needed
from distaff.hub._names import DATA, FILES

__all__ = ["pull_repository", "push_repository"]

LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN."
HTTP_PACKAGES = {"httpcore", "httpx", "httpx2", "requests", "urllib3"}  # one or another, by its version


def pull_repository(repository: str, revision: str | None) -> Path:
    """Folder in the cache of Hugging Face with the files of a shared model, and no others."""
    hub = needed("huggingface_hub")
    with _clear_errors(repository):
        return Path(hub.snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))


def push_repository(folder: Path, repository: str, *, private: bool, overwrite: bool) -> str:
    """Upload a shared model in one commit; returns its address."""
    api = needed("huggingface_hub").HfApi()
    with _clear_errors(repository):
        there = sorted(set(FILES) & set(_files(api, repository)))
        if there and not overwrite:
            raise error(
                f"The repository {repository!r} must hold no model",
                got=f"one ({listing(there)})",
                fix="Choose another name, or pass overwrite=True: Hugging Face keeps the one before.",
            )
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=list(FILES),
            delete_patterns=[DATA],  # of the model before, if this one has none
            commit_message="Model of distaff",
        )
    return f"{api.endpoint}/{repository}/tree/{commit.oid}"


def _files(api: Any, repository: str) -> list[str]:
    errors = needed("huggingface_hub.errors")
    try:
        return [file.rfilename for file in api.model_info(repository).siblings or ()]
    except errors.RepositoryNotFoundError:
        return []


@contextmanager
def _clear_errors(repository: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into errors that say what to do."""
    errors = needed("huggingface_hub.errors")
    what = f"The repository {repository!r}"
    try:
        yield
    except errors.HFValidationError as exception:
        raise error("A repository must be named as Hugging Face allows", got=str(exception)) from exception
    except errors.RevisionNotFoundError as exception:
        got = "no such branch, tag or commit"
        raise error(f"{what} must have the revision", got=got, kind=FileNotFoundError) from exception
    except errors.RepositoryNotFoundError as exception:
        raise error(
            f"{what} must be there and open to you",
            got="no such repository, or a private one",
            fix=f"Check the name. {LOG_IN}",
            kind=FileNotFoundError,
        ) from exception
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as exception:
        raise _unreachable(what, exception) from exception
    except errors.HfHubHTTPError as exception:
        status = getattr(exception.response, "status_code", None)
        if status in (401, 403):
            got = f"no right to it ({status})"
            raise error(
                f"{what} must be open to you", got=got, fix=LOG_IN, kind=PermissionError
            ) from exception
        got = str(exception).strip().replace("\n", " ") or "no reason"
        raise error("Hugging Face must accept the request", got=got, kind=ConnectionError) from exception
    except Exception as exception:
        if type(exception).__module__.split(".")[0] in HTTP_PACKAGES:
            raise _unreachable(what, exception) from exception
        raise


def _unreachable(what: str, exception: Exception) -> Exception:
    first = str(exception).removeprefix("Got: ").strip().split("\n")[0] or type(exception).__name__
    return error(
        f"{what} must be within reach, or in the cache",
        got=first.rstrip("."),
        fix="Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE.",
        kind=ConnectionError,
    )
