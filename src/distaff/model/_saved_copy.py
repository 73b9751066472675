"""The ``model.pt`` of a saved model: for scvi-tools' hub, and a copy of the other files.

It is an archive of ``torch.save`` that holds nothing but plain data and tensors. Two more members are the
JSON and the safetensors file: where the hub brings ``model.pt`` alone, the model is read from these, and no
pickle is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import torch

from distaff.model._saved_document import corrupt

__all__ = ["DOCUMENT", "TENSORS", "dump_copy", "parse_copy"]

DOCUMENT, TENSORS = "model.json", "model.safetensors"
OWN_FOLDER = "distaff"  # in the archive, below the root that torch gives it

# what zipfile raises where an archive is damaged
DAMAGE = (BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError)


def dump_copy(payload: Mapping[str, Any], *, document: bytes, tensors: bytes) -> bytes:
    """Bytes of a ``model.pt``.

    Parameters
    ----------
    payload
        What scvi-tools finds in it: plain data, arrays, tensors and tables.
    document
        The JSON file.
    tensors
        The safetensors file.
    """
    buffer = BytesIO()
    torch.save(_for_torch(payload), buffer)
    with ZipFile(buffer, "a", ZIP_STORED) as archive:
        root = archive.namelist()[0].split("/")[0]
        for name, data in ((DOCUMENT, document), (TENSORS, tensors)):
            archive.writestr(ZipInfo(f"{root}/{OWN_FOLDER}/{name}"), data)
    return buffer.getvalue()


def parse_copy(path: Path) -> tuple[bytes, bytes] | None:
    """Return the JSON and the safetensors file in a ``model.pt``; None where it is not one of ours.

    Raises
    ------
    ValueError
        If it is one of ours, and corrupt.
    """
    try:
        with ZipFile(path) as archive:
            found = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            own = [found.get(f"{OWN_FOLDER}/{name}") for name in (DOCUMENT, TENSORS)]
            if own == [None, None]:
                return None
            document, tensors = (_read(archive, info, path) for info in own)
            return document, tensors
    except BadZipFile as exception:
        if path.read_bytes()[:4] == b"PK\x03\x04":  # an archive once
            raise corrupt(path, exception) from exception
        return None
    except (*DAMAGE, struct.error) as exception:
        raise corrupt(path, exception) from exception


def _read(archive: ZipFile, info: ZipInfo | None, path: Path) -> bytes:
    if info is None or info.compress_type != ZIP_STORED or info.file_size > path.stat().st_size:
        raise BadZipFile("a part is missing, or is not as it was written")
    return archive.read(info)


def _for_torch(value: Any) -> Any:
    """Plain data and tensors, which ``torch.load`` reads without running code."""
    if isinstance(value, Mapping):
        return {_for_torch(key): _for_torch(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_for_torch(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, pd.DataFrame):
        columns = [value.iloc[:, i].to_numpy() for i in range(value.shape[1])]
        parts = {"index": value.index.to_numpy(), "columns": value.columns.to_list(), "values": columns}
        return _for_torch(parts)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return torch.tensor(value)
        return value.astype(str).tolist() if value.dtype.kind in "Mm" else _for_torch(value.tolist())
    return value
