"""Minified data: the posterior of each cell in place of its counts."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data.fields import ObsmField
from scvi.model.base import BaseMinifiedModeModelClass, BaseModelClass
from scvi.model.utils import get_minified_adata_scrna

from distaff._checks import check_choice, error
from distaff._compat import ADATA_MINIFY_TYPE, MINIFY_TYPE_SLOT, UUID_SLOT, without_remarks
from distaff._disk import is_on_disk
from distaff._keys import MINIFIED
from distaff.module.minified import pack
from distaff.nn import LearnedLibrary
from distaff.train import cell_totals

__all__ = ["MinifiedMixin", "check_minified_alike", "has_no_counts", "minified_fields", "minify_type"]


class MinifiedMixin(BaseMinifiedModeModelClass):
    """``minify_adata`` of all models."""

    _LATENT_QZM_KEY = MINIFIED.mean
    _LATENT_QZV_KEY = MINIFIED.variance
    _OBSERVED_LIB_SIZE_KEY = MINIFIED.library

    def minify_adata(self: Any, minified_data_type: str = ADATA_MINIFY_TYPE.LATENT_POSTERIOR) -> None:
        """Keep the posterior of each cell in place of its counts.

        The model gets a small copy of its AnnData; the AnnData that it was given stays as it is. Latent,
        inclusion probabilities, decoded expression and samples from it come out as before. What needs counts
        (training, ELBO, marginal likelihood) raises an error.

        Parameters
        ----------
        minified_data_type
            ``"latent_posterior_parameters"`` drops the counts; ``"latent_posterior_parameters_with_counts"``
            keeps them beside the posterior, for ELBO and marginal likelihood.

        Raises
        ------
        ValueError
            If the data are minified already, or the library size is learned: it is not part of what is kept;
            or if counts on disk are to be kept.
        TypeError
            If the posterior is neither normal nor a spike and slab.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.model.BetaVAE.setup_anndata(adata)
        >>> model = ds.model.BetaVAE(adata, n_latent=4)
        >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
        >>> model.minify_adata()  # doctest: +SKIP
        >>> model.get_latent_representation().shape
        (100, 4)
        """
        check_choice("minified_data_type", minified_data_type, ADATA_MINIFY_TYPE)
        self._check_if_trained(warn=False)
        with_counts = minified_data_type == ADATA_MINIFY_TYPE.LATENT_POSTERIOR_WITH_COUNTS
        self._check_can_be_minified(with_counts=with_counts)
        posterior = self._posterior_parameters()
        if self._is_on_disk():
            minified = _without_counts(self.adata)
        else:
            minified = get_minified_adata_scrna(self.adata_manager, keep_count_data=with_counts)
        del minified.uns[UUID_SLOT]
        minified.uns[MINIFY_TYPE_SLOT] = minified_data_type
        minified.obsm.update(posterior)
        counts = self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        minified.obs[MINIFIED.library] = cell_totals(counts)
        with without_remarks():
            BaseModelClass._validate_anndata(self, minified)  # transfers the setup
            manager = self.get_anndata_manager(minified, required=True)
            manager.fields = list(manager.fields)  # until here it shares them with that of the full data
            manager.register_new_fields(minified_fields(type(self), minified))
        self.module.minified_data_type = minified_data_type
        self.adata = minified

    def _is_on_disk(self: Any) -> bool:
        return is_on_disk(self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY))

    def _check_can_be_minified(self: Any, *, with_counts: bool) -> None:
        if self.adata is None:
            raise error("The model must have data to minify", got="none", fix="Load it with adata=...")
        if self.minified_data_type is not None:
            raise error("The data must not be minified to minify them", got=self.minified_data_type)
        if with_counts and self._is_on_disk():
            raise error(
                "Counts must be in memory to be kept",
                got="counts on disk",
                fix="Drop them, the default, or read the data into memory.",
            )
        if isinstance(self.module.library, LearnedLibrary):
            raise error(
                "The library size must be observed to minify data",
                got="a learned one",
                fix="Build the model with use_observed_lib_size=True.",
            )

    @torch.inference_mode()
    def _posterior_parameters(self: Any) -> dict[str, np.ndarray]:
        """Entries of ``obsm`` that stand for the counts."""
        packed = [pack(q) for q in self._encoded(self.module.posterior_of, None, None, None)]
        slots = (MINIFIED.mean, MINIFIED.variance, MINIFIED.gate_logits)
        columns = zip(slots, zip(*packed, strict=True), strict=True)
        return {slot: torch.cat(list(c)).cpu().numpy() for slot, c in columns if c[0] is not None}

    def _check_not_minified(self: Any) -> None:
        """Refuse to train: the encoder has no part in what is computed from a kept posterior."""
        if self.minified_data_type is not None:
            raise error(
                "The data must not be minified to train",
                got=self.minified_data_type,
                fix="Load the model with the full data.",
            )


def _without_counts(adata: AnnData) -> AnnData:
    """Copy of data on disk in memory, without their values."""
    zeros = sparse.csr_matrix(adata.shape, dtype=np.float32)
    tables = {slot: dict(getattr(adata, slot)) for slot in ("obsm", "varm", "obsp", "varp")}
    return AnnData(zeros, obs=adata.obs.copy(), var=adata.var.copy(), uns=deepcopy(dict(adata.uns)), **tables)


def check_minified_alike(module: Any, adata: AnnData) -> None:
    """Refuse data with counts for a module of minified data, and the other way round."""
    own, other = getattr(module, "minified_data_type", None), minify_type(adata)
    if own != other:
        raise error(
            "adata must be minified as the data of the model are",
            got=f"{other or 'data with counts'} for a model of {own or 'data with counts'}",
            fix="Load the saved model anew with adata=...",
        )


def minify_type(adata: AnnData) -> str | None:
    """How data were minified; None if they were not."""
    return adata.uns.get(MINIFY_TYPE_SLOT)


def has_no_counts(adata: AnnData) -> bool:
    """Whether the counts were dropped."""
    return minify_type(adata) == ADATA_MINIFY_TYPE.LATENT_POSTERIOR


def minified_fields(cls: Any, adata: AnnData) -> list[Any]:
    """Fields of minified data, none for any other; gates only where the posterior has them."""
    kind = minify_type(adata)
    if kind is None:
        return []
    gates = (
        [ObsmField(MINIFIED.gate_logits, MINIFIED.gate_logits)] if MINIFIED.gate_logits in adata.obsm else []
    )
    return [*cls._get_fields_for_adata_minification(kind), *gates]
