"""Cells that come from a data module in place of an AnnData: annbatch, a Census in TileDB-SOMA, Lamin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from torch import Tensor

from distaff._checks import error
from distaff._compat import registered_genes
from distaff.model._arguments import check_loader
from distaff.model._build import COUNT_LIKELIHOODS
from distaff.train import CheckedLoader, ForeignData

__all__ = ["FROM_MODULE", "DataModuleMixin"]

SETUP_BY_MODULE = "setup_datamodule"  # how scvi-tools marks the registry of a data module
FROM_MODULE = "of_datamodule"  # how we go on to tell it from others


class DataModuleMixin:
    """Models built with ``registry=datamodule.registry``."""

    def _take_module_registry(self: Any) -> None:
        """Write the registry of a data module as ``setup_anndata`` would, so that the model can be saved."""
        if self.registry_.get("setup_method_name") != SETUP_BY_MODULE:
            return
        self._check_config_for_module()
        known = self.registry_["setup_args"]
        covariates = ("categorical_covariate_keys", "continuous_covariate_keys")
        setup = {name: known.get(name) for name in ("layer", "batch_key", "labels_key", *covariates)}
        setup |= {"size_factor_key": None, "allow_non_integer": False}
        own = {"model_name": type(self).__name__, "setup_method_name": "setup_anndata", "setup_args": setup}
        fields = dict(self.registry_["field_registries"])
        for name, key in (("batch", "batch_key"), ("labels", "labels_key")):
            if setup[key] is None or not fields[name]["summary_stats"][f"n_{name}"]:
                setup[key], fields[name] = None, {**fields[name], **_one_for_all(name)}
        self.registry_ = {**self.registry_, **own, "field_registries": fields, FROM_MODULE: True}

    def _check_config_for_module(self: Any) -> None:
        config = self._config
        if config.init is not None:
            raise error("init must be None for a data module", got=repr(config.init), fix="Pass init=None.")
        if config.likelihood in COUNT_LIKELIHOODS and not config.use_observed_lib_size:
            raise error("use_observed_lib_size must be True for a data module", got=False)

    def _minibatches(
        self: Any,
        adata: AnnData | None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterable[dict[str, Tensor]] | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """Minibatches of a loader are checked and cleaned before anything is made of them."""
        if dataloader is not None:
            check_loader(dataloader)
            counts = self._config.likelihood in COUNT_LIKELIHOODS
            genes = registered_genes(self.registry_)
            dataloader = CheckedLoader(dataloader, genes, is_count_data=counts)
        return super()._minibatches(adata, indices, batch_size, dataloader)  # type: ignore[misc]

    def _module_data(
        self: Any,
        datamodule: Any,
        *,
        batch_size: int,
        train_size: float | None,
        validation_size: float | None,
        shuffle: bool,
    ) -> ForeignData:
        """Training and validation minibatches of ``datamodule``, told how to split its cells if it can be."""
        if self.adata is not None or not self.registry_.get(FROM_MODULE, False):
            raise error(
                "A model that trains on a data module must be built with its registry",
                got="a model of an AnnData" if self.adata is not None else "another registry",
                fix=f"Use {type(self).__name__}(registry=datamodule.registry).",
            )
        genes, own = (registered_genes(r) for r in (datamodule.registry, self.registry_))
        if not np.array_equal(genes, own):
            raise error("datamodule must have the genes of the model", got=f"{len(genes)} other genes")
        if hasattr(datamodule, "set_batch_size"):
            datamodule.set_batch_size(batch_size)
        if hasattr(datamodule, "set_split"):
            sizes = (
                (0.9, None)
                if train_size is None and validation_size is None
                else (train_size, validation_size)
            )
            datamodule.set_split(
                train_size=sizes[0],
                validation_size=sizes[1],
                shuffle_set_split=shuffle,
                batch_size=batch_size,
            )
        elif train_size is not None or validation_size is not None:
            raise error(
                "train_size and validation_size must be None for a data module that splits its cells itself",
                got=f"{train_size} and {validation_size}",
                fix="Set them where the module is made.",
            )
        counts = self._config.likelihood in COUNT_LIKELIHOODS
        return ForeignData(datamodule, own, is_count_data=counts)


def _one_for_all(name: str) -> dict[str, Any]:
    """Entries for a batch or label that was not given, as ``setup_anndata`` would make them."""
    return {
        "state_registry": {"categorical_mapping": np.array([0]), "original_key": f"_scvi_{name}"},
        "summary_stats": {f"n_{name}": 1},
    }
