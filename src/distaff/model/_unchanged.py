"""Whether the data of a model are still what was set up: an AnnData may be changed at any time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from distaff._checks import error, listing
from distaff._compat import registered_genes
from distaff._disk import is_on_disk
from distaff.model._fingerprint import ContentSum, storage_fingerprint
from distaff.pp.check_counts import check_values

__all__ = [
    "ANEW",
    "check_slots",
    "check_unchanged",
    "known_content",
    "mark_counts",
    "moved_genes",
    "stale_covariate",
]

Mark = tuple[Any, ...]

ANEW = "Call setup_anndata and build the model anew, or change a copy (adata.copy()) in its place."


def mark_counts(manager: AnnDataManager, layer: str | None, content: ContentSum) -> None:
    """Remember checksums of the counts, which were checked; ``content`` was shown all of them."""
    manager.distaff_mark = _stored(manager.adata, layer)
    manager.distaff_content = (manager.adata.shape, content.value)


def known_content(manager: AnnDataManager) -> int | None:
    """Checksum of the counts as they were when they were last checked; None if they never were."""
    known: Mark | None = getattr(manager, "distaff_content", None)
    return None if known is None else known[1]


def check_unchanged(manager: AnnDataManager, setup: dict[str, Any]) -> None:
    """Look at all counts again where they are no longer those that were checked.

    Warns
    -----
    UserWarning
        If they are others that could be modelled.

    Raises
    ------
    ValueError
        If they are no counts any more, such as after ``scanpy.pp.normalize_total``.
    """
    adata, layer = manager.adata, setup["layer"]
    if getattr(manager, "distaff_mark", None) == _stored(adata, layer):
        return
    content = ContentSum(adata.shape)
    check_values(adata, layer=layer, allow_non_integer=setup["allow_non_integer"], look=content.add)
    known: Mark | None = getattr(manager, "distaff_content", None)
    mark_counts(manager, layer, content)
    if known is not None and known[0] == adata.shape and known != manager.distaff_content:
        place = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        warnings.warn(f"{place} is not what it was when the model was set up. {ANEW}", stacklevel=2)


def check_slots(manager: AnnDataManager) -> None:
    """Check that the columns that the setup wrote are there.

    Raises
    ------
    KeyError
        If one was removed.
    """
    adata = manager.adata
    for field in manager.data_registry.values():
        name, key = field["attr_name"], field["attr_key"]
        if key is not None and key not in getattr(adata, name):
            raise error(
                f"adata.{name} must hold {key!r}, which the model was set up with",
                got=listing(list(getattr(adata, name))) or "nothing",
                fix=ANEW,
                kind=KeyError,
            )


def moved_genes(adata: AnnData, registry: dict[str, Any]) -> bool:
    """Whether genes left, came, or changed their places; genes that only have new names did not."""
    genes, names = pd.Index(registered_genes(registry)), adata.var_names
    if genes.equals(names):
        return False
    if len(names) != len(genes):
        return True
    places = genes.get_indexer(names) if genes.is_unique else np.full(len(names), -1)
    return bool(((places >= 0) & (places != np.arange(len(names)))).any())


def stale_covariate(manager: AnnDataManager, setup: dict[str, Any]) -> str:
    """Name the first covariate that has changed in ``obs`` since it was set up; "" for none.

    Categories may have new names, as long as they tell the same cells apart; a column may be gone.
    """
    obs = manager.adata.obs
    for key, registered in _categories(manager, setup):
        if key in obs and not _one_to_one(registered, obs[key]):
            return key
    for key in setup["continuous_covariate_keys"] or ():
        if key in obs:
            registered = manager.get_from_registry(REGISTRY_KEYS.CONT_COVS_KEY)[key].to_numpy(dtype=float)
            if not np.array_equal(registered, pd.to_numeric(obs[key], errors="coerce").to_numpy(dtype=float)):
                return key
    return ""


def _categories(manager: AnnDataManager, setup: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Column and registered codes (cells,) of each categorical covariate."""
    if setup["batch_key"] is not None:
        yield setup["batch_key"], np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()
    for key in setup["categorical_covariate_keys"] or ():
        yield key, manager.get_from_registry(REGISTRY_KEYS.CAT_COVS_KEY)[key].to_numpy()


def _one_to_one(codes: np.ndarray, column: pd.Series) -> bool:
    values = pd.factorize(column)[0].astype(np.int64)
    pairs = codes.astype(np.int64) * (values.max(initial=-1) + 2) + values + 1
    return len(pd.unique(pairs)) == len(pd.unique(codes)) == len(pd.unique(values))


def _stored(adata: AnnData, layer: str | None) -> Mark:
    """Shape of the counts, and their checksum as they lie in memory; a file is not looked at."""
    matrix = adata.X if layer is None else adata.layers.get(layer)
    if matrix is None or is_on_disk(matrix):
        return (adata.shape, type(matrix).__name__)
    return (adata.shape, type(matrix).__name__, storage_fingerprint(matrix))
