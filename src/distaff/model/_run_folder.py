"""The folder that a run is kept in: a kill leaves the last state that was written, whole.

``run.json`` is what counts. It knows its tensors by their checksum, the first digits of which are in the
name of their file; replacing it is one step of the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from distaff._atomic import locked, partial_files, sync_folder, write_synced
from distaff._checks import error
from distaff.model._plain import ARRAY_NAME, Packer, unpack
from distaff.model._saved_document import Form, corrupt, dump_document, parse_document, sha256
from distaff.model._saved_tensors import dump_tensors, parse_tensors

__all__ = ["RunFolder"]

RUN = Form("distaff run", {"versions": dict, "run": dict, "state": dict, "tensors": dict})
PACKAGES = ("distaff", "scvi-tools", "torch", "numpy")
SAME = {  # by part of what tells runs from others
    "model": "To go on with it, build the model with its arguments.",
    "arguments": "To go on with it, pass its arguments.",
    "data": "To go on with it, load its data.",
    "start": "It can go on only from where it began: with a new model, or the one that it was called on.",
}
AGAIN = "Choose another folder, or delete this one to begin anew."
Known = tuple[dict[str, Any], dict[str, Tensor]]  # state of a run, and its weights


class RunFolder:
    """Folder of one run.

    Parameters
    ----------
    path
        The folder; it is created when something is written.

    Raises
    ------
    ValueError
        If a file in it is corrupt, or was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise error("checkpoint_dir must be a folder", got=f"a file, {path}")
        self.path = path
        self.document = path / "run.json"
        self.run: dict[str, Any] | None = None  # which run is in the folder
        self.known: Known | None = None
        if self.document.is_dir():
            raise error(f"{self.document} must be a file", got="a folder", fix=AGAIN)
        if self.document.is_file():
            self._read()

    def check(self, run: Mapping[str, Any]) -> None:
        """Compare the run in the folder, if there is one, with the one that is about to be trained.

        Raises
        ------
        ValueError
            If it is another one.
        """
        known, self.run = self.run, dict(run)
        if known is None:
            return
        for part, values in run.items():
            for name, value in values.items():
                if known.get(part, {}).get(name) != value:
                    raise self._other(name, known.get(part, {}).get(name), value, fix=SAME[part])

    def _other(self, name: str, known: Any, value: Any, *, fix: str) -> Exception:
        got = f"other {name}" if _is_checksum(value) else f"one with {name}={known!r} (now {value!r})"
        rule = f"checkpoint_dir must hold this run or none; the one in {self.path} must have the same {name}"
        return error(rule, got=got, fix=f"{fix} {AGAIN}")

    def write(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Put the state of the run in the place of the one before."""
        packer = Packer()
        packed = packer.pack(state, "state")
        data = dump_tensors({**weights, **packer.arrays})
        digest = sha256(data)
        document = dump_document(
            {
                "versions": {package: version(package) for package in PACKAGES},
                "run": self.run,
                "state": packed,
                "tensors": {"sha256": digest, "bytes": len(data)},
            },
            RUN,
        )
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path), partial_files() as partial:
            new = {path: partial(path) for path in (self._tensors(digest), self.document)}
            write_synced(new[self._tensors(digest)], data)
            write_synced(new[self.document], document)
            for path, written in new.items():
                written.replace(path)
                sync_folder(self.path)
            self._remove_left_over(digest)

    def _tensors(self, digest: str) -> Path:
        return self.path / f"run.{digest[:16]}.safetensors"

    def _remove_left_over(self, digest: str) -> None:
        """Delete the tensors of states before, and what killed processes left."""
        kept = self._tensors(digest).name
        for pattern in ("run.*.safetensors", ".run.*.partial"):
            for path in self.path.glob(pattern):
                if path.name != kept:
                    path.unlink(missing_ok=True)

    def _read(self) -> None:
        document = parse_document(self.document.read_bytes(), self.document, RUN)
        path = self._tensors(document["tensors"]["sha256"])
        if not path.is_file():
            raise error(f"{path} must be there", got="no such file", fix=AGAIN)
        data = path.read_bytes()
        if sha256(data) != document["tensors"]["sha256"]:
            raise corrupt(path, "its content does not fit the checksum in run.json")
        tensors = parse_tensors(data, path)
        weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(ARRAY_NAME)}
        arrays = {name: tensor for name, tensor in tensors.items() if name.startswith(ARRAY_NAME)}
        self.run, self.known = document["run"], (unpack(document["state"], arrays), weights)


def _is_checksum(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64
