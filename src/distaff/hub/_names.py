"""Names of the files of a shared model, and of the places that it is shared at."""

from __future__ import annotations

import re
from typing import NamedTuple

from distaff._checks import error

__all__ = ["CARD", "DATA", "FILES", "METADATA", "MODEL", "PICKLE", "S3Place", "is_repository", "s3_place"]

METADATA = "_scvi_required_metadata.json"  # this and the next are the names that scvi-tools' hub asks for
CARD = "README.md"
MODEL = "model.json"
PICKLE = "model.pt"  # a pickle where scvi-tools wrote it
DATA = "adata.h5ad"
FILES = (CARD, METADATA, MODEL, "model.safetensors", PICKLE, DATA)

MOST_CHARACTERS = 96  # of the name of a repository of Hugging Face
PART = r"[A-Za-z0-9_](?!.*(?:--|\.\.))[\w.-]*"
S3 = "s3://"


class S3Place(NamedTuple):
    """Bucket, and the start of the names of the objects in it."""

    bucket: str
    path: str


def is_repository(name: str) -> bool:
    """Whether ``name`` can be that of a repository of Hugging Face, such as "lab/kang_pbmc"."""
    fits = re.fullmatch(f"{PART}/{PART}", name, re.ASCII) is not None
    return fits and len(name) <= MOST_CHARACTERS and not name.endswith((".", "-", ".git"))


def s3_place(address: str) -> S3Place | None:
    """Parts of "s3://bucket/path"; None for an address of another kind."""
    if not address.startswith(S3):
        return None
    bucket, _, path = address.removeprefix(S3).partition("/")
    if not bucket or not path.strip("/"):
        raise error("An address on S3 must be s3://bucket/path", got=repr(address))
    return S3Place(bucket, path.strip("/"))
