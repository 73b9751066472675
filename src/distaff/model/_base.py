"""What all models share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scvi import REGISTRY_KEYS
from torch import Tensor

from distaff._compat import categories_per_covariate
from distaff.model._annotation import Annotation
from distaff.model._build import COUNT_LIKELIHOODS, DataSpec, ModelConfig, build_module
from distaff.model._datamodule import DataModuleMixin
from distaff.model._loadings import LoadingsMixin
from distaff.model._minified import MinifiedMixin
from distaff.model._posterior import PosteriorMixin
from distaff.model._query import QueryMixin
from distaff.model._saving import SavingMixin
from distaff.model._setup import SetupMixin
from distaff.model._start import Start, factorise, log_normalise
from distaff.model._terms import TermBlock
from distaff.model._training import TrainingMixin
from distaff.model._warm_start import set_decoder, target_scores, teach_encoder
from distaff.nn import CovariateSpec
from distaff.nn.scheduled import Scheduled
from distaff.pp.check_counts import check_non_negative
from distaff.train import (
    CellLoader,
    RowSource,
    Split,
    cell_totals,
    draw_seed,
    held_rows,
    isolated_rng,
    on_device,
)

__all__ = ["FactorModel"]

# a batch of one cell, or of cells downsampled to one depth, has no variance of its own
LIBRARY_VARIANCE_FLOOR = 1e-4
MOST_START_CELLS = 20_000  # that a start is taken from: more take minutes and change little


class FactorModel(
    SavingMixin,
    SetupMixin,
    DataModuleMixin,
    TrainingMixin,
    LoadingsMixin,
    PosteriorMixin,
    QueryMixin,
    MinifiedMixin,
):
    """Life cycle of a model, given a choice of parts."""

    def _compose(
        self,
        config: ModelConfig,
        arguments: dict[str, Any],
        annotation: Annotation | None = None,
        added: Sequence[TermBlock] = (),
    ) -> None:
        """Build the module; ``arguments`` are those of the class, as scvi-tools saves them.

        ``added`` are the terms of each query.
        """
        self.init_params_ = arguments
        if (
            config.likelihood in COUNT_LIKELIHOODS
            and self.adata is not None
            and self._setup_arg("allow_non_integer")
        ):
            check_non_negative(self.adata, layer=self._setup_arg("layer"))
        self._config = config
        self._take_module_registry()
        self._annotation_names = [] if annotation is None else annotation.names
        self._terms: list[TermBlock] = []
        if annotation is not None:
            known = TermBlock(annotation, config.decoder.n_sparse, config.decoder.n_dense)
            self._terms = [known, *added]
            self._add_to_registry(annotation.entry())
        if added:
            self._add_to_registry(TermBlock.entry(added))
        self._data_spec = self._describe_data()
        self.seed_ = draw_seed()
        self._draw_weights(self.seed_)
        self._model_summary_string = self._summary()

    def _setup_arg(self, name: str) -> Any:
        return self.registry_["setup_args"].get(name)

    def _describe_data(self) -> DataSpec:
        stats = self.summary_stats
        log_means, log_variances = self._library_moments(stats.n_batch)
        return DataSpec(
            n_genes=stats.n_vars,
            covariates=CovariateSpec(
                n_batch=stats.n_batch,
                n_labels=max(stats.n_labels, 1),  # a data module may know of none
                n_cats_per_cov=categories_per_covariate(self.registry_),
                n_continuous=stats.get("n_extra_continuous_covs", 0),
            ),
            has_size_factor=self._setup_arg("size_factor_key") is not None,
            library_log_means=log_means,
            library_log_variances=log_variances,
            annotation=self._terms[0].annotation.mask if self._terms else None,
            added=tuple(block.part() for block in self._terms[1:]),
        )

    def _library_moments(self, n_batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the log library size in each batch; placeholders where not needed."""
        means, variances = np.zeros(n_batch), np.ones(n_batch)
        if self.adata is None or self._config.use_observed_lib_size or self._config.likelihood == "normal":
            return means, variances
        counts = self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        batch = np.asarray(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()
        log_library = np.log(cell_totals(counts).astype(float))
        for b in np.unique(batch):
            own = log_library[batch == b]
            means[b], variances[b] = own.mean(), max(own.var(), LIBRARY_VARIANCE_FLOOR)
        return means, variances

    def _draw_weights(self, seed: int) -> None:
        """Draw the weights of a model that has none of value; leave any other alone."""
        if self.is_trained_ or self.from_reference_:
            return
        with isolated_rng(seed):
            self.module = build_module(self._config, self._data_spec)
        self.module.minified_data_type = self.minified_data_type

    def _take_start(self, split: Split) -> None:
        """Give a model without weights of value the start that was asked for, from its training cells."""
        method = self._config.init
        if method is None or self.is_trained_ or self.from_reference_:
            return
        X = self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        if len(split.train) > MOST_START_CELLS:
            cells = np.random.permutation(split.train)[:MOST_START_CELLS]  # noqa: NPY002 - within isolated_rng
            split = replace(split, train=cells)
        source = held_rows(X, split.train)
        block, place = source.pool(split.train)
        counts = block[place]
        batch = np.asarray(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()[split.train]
        n_factors = self.module.posterior.n_latent
        mask = self._data_spec.annotation_mask(n_factors)
        scores, loadings = factorise(
            log_normalise(counts, batch), n_factors, method=method, seed=self.seed_, mask=mask
        )
        start = Start(scores, loadings, _gene_means(counts))
        scores = target_scores(start, self.module)
        set_decoder(self.module, start, scores)
        teach_encoder(self.module, scores, lambda: self._shuffled(split, source))

    def _shuffled(self, split: Split, source: RowSource) -> Iterator[tuple[dict[str, Tensor], np.ndarray]]:
        """Minibatches of the training cells in random order, each with the rows that it holds."""
        order = np.random.permutation(len(split.train))  # noqa: NPY002 - within isolated_rng
        loader = CellLoader(
            self.adata_manager,
            split.train[order],
            batch_size=split.batch_size,
            drop_last=split.drop_last,
            source=source,
        )
        for i, tensors in enumerate(loader):
            yield (
                on_device(tensors, self.module.device),
                order[i * split.batch_size : (i + 1) * split.batch_size],
            )

    def _settle_schedules(self, steps_per_epoch: int, n_epochs: int) -> None:
        module = self.module
        self._config.objective.settle(module.objective, steps_per_epoch=steps_per_epoch, n_epochs=n_epochs)
        for part in module.modules():
            if isinstance(part, Scheduled):
                part.settle(steps_per_epoch * n_epochs)

    def _summary(self) -> str:
        arguments = self.init_params_["non_kwargs"]
        parts = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if value is not None)
        return f"{type(self).__name__} with {parts}"


def _gene_means(counts: Any) -> np.ndarray:
    """Mean share of each gene in the counts of a cell, shape (genes,)."""
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    return np.asarray((counts.T @ (1.0 / totals)) / counts.shape[0]).ravel()
