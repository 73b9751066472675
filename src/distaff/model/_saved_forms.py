"""What the attributes of a saved model must look like, so that none is found wrong where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS

from distaff.model._datamodule import FROM_MODULE

__all__ = ["check_forms"]

PARTS = ("data_registry", "state_registry", "summary_stats")
SETUP = (
    *("layer", "batch_key", "labels_key", "size_factor_key"),
    *("categorical_covariate_keys", "continuous_covariate_keys", "allow_non_integer"),
)
CODES = {REGISTRY_KEYS.BATCH_KEY: "n_batch", REGISTRY_KEYS.LABELS_KEY: "n_labels"}


def check_forms(attributes: Mapping[str, Any]) -> None:
    """Check attributes that are saved with every model; those of the user's own may be anything.

    Raises
    ------
    Exception
        If one is of another kind, or parts of the registry do not fit each other.
    """
    for name, check in FORMS.items():
        if name in attributes:
            _require(check(attributes[name]), f"{name} is no such thing")
    _require("is_trained_" in attributes, "nothing says whether the model was trained")
    _check_registry(attributes["registry_"])
    arguments = attributes["init_params_"]
    _require(isinstance(arguments["non_kwargs"], dict), "init_params_ holds no arguments")


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _is_whole(value: Any) -> bool:
    return value is None or type(value) is int


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_list_of_cells(value: Any) -> bool:
    if value is None:
        return True
    numbers = np.asarray(value)
    return numbers.ndim == 1 and (numbers.dtype.kind in "iu" or not len(numbers))


def _is_history(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_curve, value.values())))


def _is_curve(value: Any) -> bool:
    return isinstance(value, pd.DataFrame) and all(kind.kind in "biuf" for kind in value.dtypes)


FORMS: dict[str, Callable[[Any], bool]] = {
    "from_reference_": _is_flag,
    "history_": _is_history,
    "is_trained_": _is_flag,
    "seed_": _is_whole,
    "test_indices_": _is_list_of_cells,
    "train_indices_": _is_list_of_cells,
    "training_": lambda value: value is None or isinstance(value, dict),
    "validation_indices_": _is_list_of_cells,
}


def _check_registry(registry: Mapping[str, Any]) -> None:
    """Check how the data were set up."""
    setup, fields = registry["setup_args"], registry["field_registries"]
    _require(set(SETUP) <= set(setup), "arguments of the setup are missing")
    for name, field in fields.items():
        _require(all(isinstance(field[part], dict) for part in PARTS), f"{name} is no field")
    genes = fields[REGISTRY_KEYS.X_KEY]["state_registry"]
    _check_names("genes", genes["column_names"], genes.get("n_vars", len(genes["column_names"])))
    _require(all(isinstance(gene, str) for gene in genes["column_names"]), "genes have no names")
    if registry.get(FROM_MODULE, False):
        return  # a data module of others says the rest in its own way
    for name, count in CODES.items():
        field = fields[name]
        _check_names(name, field["state_registry"]["categorical_mapping"], field["summary_stats"][count])
        _require(isinstance(field["state_registry"]["original_key"], str), f"{name} has no column")
    columns = fields[REGISTRY_KEYS.CAT_COVS_KEY]["state_registry"]
    keys = list(setup["categorical_covariate_keys"] or ())
    if columns or keys:
        _require(list(columns["mappings"]) == columns["field_keys"] == keys, "covariates differ")
        for key, n in zip(keys, columns["n_cats_per_key"], strict=True):
            _check_names(key, columns["mappings"][key], n)
    columns = fields[REGISTRY_KEYS.CONT_COVS_KEY]["state_registry"]
    keys = list(setup["continuous_covariate_keys"] or ())
    if columns or keys:
        _require(list(columns["columns"]) == keys, "continuous covariates differ")


def _check_names(what: str, names: Any, n: Any) -> None:
    _require(isinstance(names, list | np.ndarray), f"{what} have no list of names")
    _require(type(n) is int and len(names) == n, f"{what} are {len(names)} and not {n}")
    _require(len(set(names)) == n, f"{what} are there twice")
