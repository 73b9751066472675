"""The folder of a shared model: written whole or not at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distaff import model as models
from distaff._atomic import partial_folder, sync_folder, write_synced
from distaff._checks import error
from distaff._compat import ADATA_MINIFY_TYPE, forget_manager
from distaff.hub._names import CARD, METADATA

__all__ = ["check_model", "check_save_anndata", "new_folder", "write_shared"]

CHOICES = ("minified", "full", False)


def check_model(model: Any) -> None:
    """Check that the model is one of ours, and trained."""
    if type(model) not in (getattr(models, name) for name in models.__all__):
        raise error("model must be one of distaff.model", got=type(model).__name__, kind=TypeError)
    if not model.is_trained_:
        raise error("The model must be trained to be shared", got="an untrained one", fix="Call train().")


def check_save_anndata(model: Any, choice: Any) -> None:
    """Check that the data of the model can be saved so."""
    if not (choice is False or (isinstance(choice, str) and choice in CHOICES)):
        raise error("save_anndata must be 'minified', 'full' or False", got=repr(choice))
    if choice is False:
        return
    if model.adata is None:
        raise error("The model must have data to save them", got="none", fix="Pass save_anndata=False.")
    kind = getattr(model, "minified_data_type", None)
    if choice == "full" and kind == ADATA_MINIFY_TYPE.LATENT_POSTERIOR:
        raise error("The data must have counts to be saved in full", got=kind, fix="Save them minified.")
    if choice == "minified" and kind == ADATA_MINIFY_TYPE.LATENT_POSTERIOR_WITH_COUNTS:
        raise error("Minified data must have no counts", got=kind, fix="Pass save_anndata='full', or False.")
    if choice == "minified" and not hasattr(model, "minify_adata"):
        raise _cannot(model, "its posterior is not one of single cells")


def _cannot(model: Any, why: object) -> Exception:
    return error(
        f"save_anndata must be 'full' or False for this {type(model).__name__}",
        got=f"'minified': {str(why).rstrip('.')}",
    )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Folder to write to; it becomes ``target`` in one step at the end, or is deleted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target) as folder:
        yield folder
        sync_folder(folder)
        if target.is_dir():
            target.rmdir()  # it is empty
        folder.rename(target)
        sync_folder(target.parent)


def write_shared(model: Any, folder: Path, *, card: str, save_anndata: Any) -> None:
    """Write model, data, metadata and card into a folder of their own; the model stays as it is."""
    if save_anndata == "minified" and model.minified_data_type is None:
        twin = _minified(model)
        try:
            twin.save(folder, save_anndata=True)
        finally:
            forget_manager(twin, twin.adata)
    else:
        model.save(folder, save_anndata=bool(save_anndata))
    metadata = {
        "scvi_version": model.registry_["scvi_version"],
        "anndata_version": version("anndata"),
        "model_cls_name": type(model).__name__,
        "training_data_url": None,
        "model_parent_module": "distaff.model",
    }
    write_synced(folder / METADATA, json.dumps(metadata, indent=4).encode())
    write_synced(folder / CARD, card.encode())


def _minified(model: Any) -> Any:
    """Model of the same weights with minified data."""
    twin = copy.copy(model)
    twin.module = copy.deepcopy(model.module)
    try:
        twin.minify_adata()
    except (ValueError, TypeError) as exception:
        raise _cannot(model, exception) from exception
    return twin
