"""What tells a run from others: model, data, arguments, and what it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch import Tensor

from distaff._disk import DiskRows, is_on_disk
from distaff.model._fingerprint import ContentSum
from distaff.model._plain import Packer
from distaff.model._unchanged import known_content
from distaff.train import Split, curves_of

__all__ = ["run_identity"]

# arguments of the trainer that change nothing of what is computed
SHOWN = {"progress_bar", "enable_progress_bar", "simple_progress_bar", "enable_model_summary", "logger"}
SHOWN |= {"progress_bar_refresh_rate", "log_save_dir", "default_root_dir", "profiler", "log_every_n_steps"}


def run_identity(
    model: Any, split: Split, arguments: Mapping[str, Any], trainer_arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Plain values by kind and name, the same for the same run in another process.

    Parameters
    ----------
    model
        Model before its training.
    split
        Its cells.
    arguments
        Arguments of ``train``.
    trainer_arguments
        Those that are handed on to the trainer; callbacks and the like are compared by their class.
    """
    given = {name: v for name, v in trainer_arguments.items() if name not in SHOWN and v is not None}
    return {
        "model": {"class": type(model).__name__, **_packed(model.init_params_["non_kwargs"])},
        "arguments": {**_packed(arguments), **{name: _plain(v) for name, v in given.items()}},
        "data": _data(model, split),
        "start": _start(model),
    }


def _packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON of plain values; of arrays their checksum."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        packer = Packer()
        packed = packer.pack(value, name)
        found[name] = packed if not packer.arrays else [packed, _digest(*packer.arrays.values())]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | bool | int | float) else type(value).__name__


def _data(model: Any, split: Split) -> dict[str, Any]:
    """Sizes and checksums of the data that the model is trained on."""
    manager, adata = model.adata_manager, model.adata
    found = {
        "number of cells": adata.n_obs,
        "number of genes": adata.n_vars,
        "names of cells": _digest(adata.obs_names),
        "names of genes": _digest(adata.var_names),
        "gene sets": _digest(repr(sorted(model._own_registry.items()))),
        "training and validation cells": _digest(split.train, split.validation),
    }
    for key in manager.data_registry:
        values = manager.get_from_registry(key)
        if not isinstance(values, str):
            if key == REGISTRY_KEYS.X_KEY:
                found["counts"] = _counts(manager, values)
                found["counts on disk"] = is_on_disk(values)  # cells are shuffled by blocks then
            else:
                found[f"{key} of cells"] = _digest(values)
    return found


def _counts(manager: AnnDataManager, counts: Any) -> str:
    """Checksum of all counts, as the setup found them when it looked at each."""
    content = known_content(manager)
    if content is None:  # set up by others
        total = ContentSum(counts.shape)
        for first, block in DiskRows(counts).blocks() if is_on_disk(counts) else [(0, counts)]:
            total.add(first, block)
        content = total.value
    return _digest(np.uint64(content))


def _start(model: Any) -> dict[str, Any]:
    """What the run begins with: the weights count where they are not drawn by it."""
    found: dict[str, Any] = {"epochs before": curves_of(model)[1]}
    from_reference = getattr(model, "from_reference_", False)
    if hasattr(model.module, "objective"):
        goes_on = model.is_trained_ or from_reference
        found["steps before"] = model.module.objective.step if goes_on else 0
    if model.is_trained_:
        found["weights"] = _digest(*model.module.state_dict().values())
    elif from_reference:
        found["weights"] = _digest(*model.module.encoder.state_dict().values())
    return found


def _digest(*values: Any) -> str:
    """Checksum of strings, arrays, tensors and tables."""
    digest = sha256()
    for value in values:
        if isinstance(value, str):
            digest.update(value.encode())
        elif isinstance(value, Tensor):
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        elif np.asarray(value).dtype.kind in "biuf":
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(pd.util.hash_array(np.asarray(value, dtype=object)).tobytes())
    return digest.hexdigest()
