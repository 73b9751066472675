"""Names of scvi-tools that are private, or differ between 1.4 and 1.5, in this one place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data._constants import _ADATA_MINIFY_TYPE_UNS_KEY as MINIFY_TYPE_SLOT
from scvi.data._constants import _SCVI_UUID_KEY as UUID_SLOT
from scvi.data._constants import ADATA_MINIFY_TYPE
from scvi.model._utils import get_max_epochs_heuristic, parse_device_args, use_distributed_sampler
from scvi.train._logger import SimpleLogger

__all__ = [
    "ADATA_MINIFY_TYPE",
    "MINIFY_TYPE_SLOT",
    "UNSAVED_OF_EARLY_STOPPING",
    "UUID_SLOT",
    "SimpleLogger",
    "categories_per_covariate",
    "forget_manager",
    "get_max_epochs_heuristic",
    "parse_device_args",
    "registered_genes",
    "use_distributed_sampler",
    "without_remarks",
]

# what early stopping counts and keeps beside its ``state_dict``
UNSAVED_OF_EARLY_STOPPING = ("_current_step", "early_stopping_reason")


def forget_manager(model: Any, adata: Any) -> None:
    """Have a model transfer its setup to other data anew, since they have changed since it did."""
    model._per_instance_manager_store[model.id].pop(adata.uns.get(UUID_SLOT), None)


def registered_genes(registry: dict[str, Any]) -> np.ndarray:
    """Names of the genes that a model was set up with, in order."""
    return np.asarray(registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"])


def categories_per_covariate(registry: dict[str, Any]) -> tuple[int, ...]:
    """Number of categories of each categorical covariate beside the batch."""
    field = registry["field_registries"].get(REGISTRY_KEYS.CAT_COVS_KEY, {})
    return tuple(int(n) for n in field.get("state_registry", {}).get("n_cats_per_key", ()))


@contextmanager
def without_remarks() -> Iterator[None]:
    """Leave out what scvi-tools remarks on data that it was not given before; its warnings are heard."""
    logger = logging.getLogger("scvi")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
