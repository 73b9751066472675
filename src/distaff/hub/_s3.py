"""Buckets of S3, through scvi-tools."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distaff._checks import error
from distaff.hub._extra import needed
from distaff.hub._names import DATA, PICKLE, S3Place

__all__ = ["pull_s3", "push_s3"]

NOT_FOUND = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}
NO_RIGHT = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
FIX = "Check the address, AWS_PROFILE, the AWS_* variables, and AWS_ENDPOINT_URL for a store of your own."


def pull_s3(place: S3Place, folder: Path) -> None:
    """Download a shared model into a folder; without credentials, as anyone may."""
    hub_model = _hub_model()
    unsigned = needed("boto3").Session().get_credentials() is None
    with _clear_errors(place):
        s3 = _client(unsigned=unsigned)
        # a bucket that may not be listed says 403 of what is not there
        has_data = _is_there(s3, place, DATA, absent=NOT_FOUND | NO_RIGHT)
        hub_model.pull_from_s3(
            place.bucket,
            place.path,
            pull_anndata=has_data,
            cache_dir=str(folder),
            unsigned=unsigned,
        )


def push_s3(folder: Path, place: S3Place, *, overwrite: bool) -> str:
    """Upload a shared model; returns its address."""
    hub_model = _hub_model()
    with _clear_errors(place):
        s3 = _client(unsigned=False)
        if _is_there(s3, place, PICKLE) and not overwrite:
            raise error(
                f"{_address(place)} must hold no model",
                got="one",
                fix="Choose another path, or pass overwrite=True: what is there is lost.",
            )
        has_data = (folder / DATA).is_file()
        hub_model(str(folder)).push_to_s3(place.bucket, place.path, push_anndata=has_data)
        if not has_data and _is_there(s3, place, DATA):
            s3.delete_object(Bucket=place.bucket, Key=f"{place.path}/{DATA}")  # of the model before
    return _address(place)


def _hub_model() -> Any:
    for package in ("boto3", "huggingface_hub", "requests"):  # scvi.hub imports all three
        needed(package)
    return needed("scvi.hub").HubModel


def _client(*, unsigned: bool) -> Any:
    if not unsigned:
        return needed("boto3").client("s3")
    botocore = needed("botocore")
    config = needed("botocore.config").Config(signature_version=botocore.UNSIGNED)
    return needed("boto3").client("s3", config=config)


def _is_there(s3: Any, place: S3Place, name: str, *, absent: Collection[str] = NOT_FOUND) -> bool:
    try:
        s3.head_object(Bucket=place.bucket, Key=f"{place.path}/{name}")
    except s3.exceptions.ClientError as exception:
        if exception.response["Error"]["Code"] in absent:
            return False
        raise
    return True


@contextmanager
def _clear_errors(place: S3Place) -> Iterator[None]:
    """Turn what boto3 raises into errors that say what to do."""
    exceptions, uploads = needed("botocore.exceptions"), needed("boto3.exceptions")
    failures = (exceptions.ClientError, exceptions.BotoCoreError, uploads.Boto3Error)
    try:
        yield
    except failures as exception:
        cause = exception.__context__ if isinstance(exception, uploads.Boto3Error) else exception
        code = str(cause.response["Error"]["Code"]) if isinstance(cause, exceptions.ClientError) else ""
        got = code or str(exception).strip().rstrip(".")
        kind: type[Exception] = ConnectionError
        if code in NO_RIGHT:
            kind = PermissionError
        elif code in NOT_FOUND:
            kind = FileNotFoundError
        rule = f"{_address(place)} must be within reach and open to you"
        raise error(rule, got=got, fix=FIX, kind=kind) from exception


def _address(place: S3Place) -> str:
    return f"s3://{place.bucket}/{place.path}"
