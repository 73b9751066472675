"""What tells a run from others: model, data, arguments, and what it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS
from torch import Tensor

from distaff.model._fingerprint import content_fingerprint
from distaff.model._plain import Packer
from distaff.train import Split, curves_of, row_source

__all__ = ["run_identity"]

MOST_CELLS_ON_DISK = 128  # whose counts go into the checksum; each may cost the reading of a chunk
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
            of = _counts if key == REGISTRY_KEYS.X_KEY else _digest
            found["counts" if key == REGISTRY_KEYS.X_KEY else f"{key} of cells"] = of(values)
    return found


def _counts(counts: Any) -> str:
    """Checksum of all counts in memory, or of those of some cells, evenly spread over a file."""
    source = row_source(counts)
    if not source.on_disk:
        return _digest(np.uint64(content_fingerprint(counts)))
    n_cells = counts.shape[0]
    positions = np.linspace(0, n_cells - 1, min(n_cells, MOST_CELLS_ON_DISK)).astype(np.int64)
    block, place = source.pool(positions)
    return _digest(np.uint64(content_fingerprint(block[place])))


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
