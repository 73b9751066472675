"""Factorial single-cell latent variable model: sparse factor analysis with gene sets, the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from math import ceil
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.model.base import BaseModelClass

from distaff._checks import check_flag, check_int, check_number, error
from distaff._compat import registered_genes
from distaff.model._annotation import Annotation
from distaff.model._fsclvm_start import MAX_CELLS, set_start
from distaff.model._fsclvm_terms import TermsOfFSCLVM
from distaff.model._kept_run import KeptRun, KeptRunMixin
from distaff.model._saving import SavingMixin
from distaff.model._setup import SetupMixin
from distaff.module import ClosedFormELBO, FSCLVMModule
from distaff.pp.check_counts import check_non_negative
from distaff.train import (
    FactorTrainRunner,
    Split,
    SVIPlan,
    check_monitors,
    check_trainer_arguments,
    dense_data,
    draw_seed,
    held_rows,
    isolated_rng,
    number_of_processes,
    split_cells,
)

__all__ = ["FSCLVM"]

DENSE_INCLUSION = 40 / 42  # mean of slalom's Beta(40, 2) prior of dense factors
SPARSE_INCLUSION = 2 / 42  # mean of slalom's Beta(2, 40) prior of sparse factors
SETS_ONLY = 0.2  # share of the first run's steps in which factors without annotation wait
DEFAULT_STEPS = 3000  # optimiser steps of a run without max_epochs
UNUSED_SETUP = ("size_factor_key", "categorical_covariate_keys", "continuous_covariate_keys")


class FSCLVM(TermsOfFSCLVM, KeptRunMixin, SavingMixin, SetupMixin, BaseModelClass):
    r"""Factorial single-cell latent variable model, f-scLVM :cite:p:`Buettner17`.

    .. math::

        y_{ng} \sim N\big(b_{s_n g} + \textstyle\sum_k x_{nk} z_{gk} w_{gk},\, \tau_g^{-1}\big), \quad
        z_{gk} \sim \text{Bernoulli}(\pi_{gk}), \quad w_{gk} \sim N(0, \alpha_k^{-1})

    Scores :math:`x_{nk}` are standard normal. The first factors are the gene sets, where :math:`\pi` is
    ``1 - fnr`` for genes of the set and ``fpr`` for others; then come sparse and dense factors without
    annotation, where it is 0.05 and 0.95; they join in after a fifth of the first run. The precisions
    :math:`\alpha_k` switch factors off. Inference is variational and stochastic: scores of a cell,
    :math:`\alpha` and all expectations are in closed form, weights and noise follow gradients of
    minibatches. New cells are mapped without training.

    Parameters
    ----------
    adata
        Annotated data with gene sets (:func:`distaff.pp.gene_sets`), registered with :meth:`setup_anndata`;
        of the covariates ``batch_key`` alone is used: each batch has its own intercepts.
    registry
        Registry of a saved model, to build it without data; not for users.
    set_key
        Slot of ``varm`` with the gene sets.
    n_sparse
        Number of further sparse factors.
    n_dense
        Number of further dense factors, for confounders.
    fpr
        Prior probability that a gene outside a set belongs to it.
    fnr
        Prior probability that a gene of a set does not belong to it.
    log_normalise
        Take log1p of counts per 10,000 within the model. None does so unless the data were registered with
        ``allow_non_integer=True``.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> sets = {"first": adata.var_names[:20], "second": adata.var_names[15:40]}
    >>> ds.pp.gene_sets(adata, sets)
    >>> ds.model.FSCLVM.setup_anndata(adata)
    >>> model = ds.model.FSCLVM(adata, n_dense=1)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.get_loadings().columns.to_list()
    ['first', 'second', 'Dense 1']
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        set_key: str = "gene_sets",
        n_sparse: int = 0,
        n_dense: int = 3,
        fpr: float = 0.001,
        fnr: float = 0.01,
        log_normalise: bool | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_int("n_sparse", n_sparse, minimum=0)
        check_int("n_dense", n_dense, minimum=0)
        check_number("fpr", fpr, above=0, below=1)
        check_number("fnr", fnr, above=0, below=1)
        self.init_params_ = self._get_init_params(locals())
        setup = self.registry_["setup_args"]
        _check_setup(setup)
        if log_normalise is None:
            log_normalise = not setup["allow_non_integer"]
        elif check_flag("log_normalise", log_normalise) and adata is not None and setup["allow_non_integer"]:
            check_non_negative(adata, layer=setup["layer"])
        self._log_normalise = log_normalise
        self._annotation = Annotation.of(adata, registry, set_key)
        self._add_to_registry(self._annotation.entry())
        self._n_sparse, self._n_dense, self._rates = n_sparse, n_dense, (fpr, fnr)
        self.seed_ = draw_seed()
        self._draw_weights(self.seed_)
        self._model_summary_string = (
            f"FSCLVM with {len(self._annotation.names)} gene sets, n_sparse={n_sparse}, n_dense={n_dense}"
        )

    # --- training --------------------------------------------------------------------------------------

    def train(
        self,
        max_epochs: int | None = None,
        *,
        batch_size: int = 256,
        train_size: float | None = None,
        validation_size: float | None = None,
        shuffle_set_split: bool = True,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        lr: float = 0.03,
        seed: int | None = None,
        checkpoint_dir: str | PathLike[str] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model; a second call goes on where the first ended.

        Parameters
        ----------
        max_epochs
            Number of epochs. None takes as many as give 3,000 optimiser steps.
        batch_size
            Cells a minibatch. A last minibatch of fewer than three cells is left out of its epoch.
        train_size
            Share of the cells to train on; None for 0.9.
        validation_size
            Share of the cells to validate on; None for all others.
        shuffle_set_split
            Draw the two sets at random; else validation cells come first.
        accelerator
            ``"cpu"``, ``"gpu"``, ``"mps"`` or ``"auto"``.
        devices
            Device of the accelerator; one only.
        lr
            Learning rate of Adam at the start; it falls linearly to 0.
        seed
            Seed of all that is random in the run, and of the initial weights of a model that was never
            trained. None takes ``scvi.settings.seed`` or, without it, a fresh one, kept in ``seed_``. The
            global random generators are left as they were.
        checkpoint_dir
            Folder to keep the run in: if it was killed, the same call on a new model of the same data goes on
            there, and ends, on the CPU bit for bit, as if nothing had happened.
        **trainer_kwargs
            Further arguments of :class:`scvi.train.Trainer`, such as ``check_val_every_n_epoch=1`` for
            validation curves.

        Raises
        ------
        ValueError
            If a number is out of its range, the data are too few, or ``checkpoint_dir`` holds another run.
        distaff.train.DivergenceError
            If the loss is no longer finite, or a cell costs 10,000 times what it did at the start.
        """
        if self.adata is None:
            raise ValueError("The model has no data to train on. Load it with adata=...")
        check_trainer_arguments(trainer_kwargs, own=signature(self.train).parameters)
        self._check_own_data()
        if number_of_processes(accelerator, devices, trainer_kwargs.get("num_nodes", 1)) > 1:
            raise error("FSCLVM must be trained on one device", got=f"devices={devices!r}")
        if max_epochs is not None:
            check_int("max_epochs", max_epochs, minimum=1)
        kept = KeptRun.of(checkpoint_dir)
        self._take_seed(seed, kept)
        sizes: dict[str, Any] = {"batch_size": batch_size, "train_size": train_size}
        sizes |= {"validation_size": validation_size, "shuffle": shuffle_set_split}
        split = split_cells(self.adata.n_obs, **sizes, seed=self.seed_)
        n_epochs = ceil(DEFAULT_STEPS / split.steps_per_epoch) if max_epochs is None else max_epochs
        n_steps = n_epochs * split.steps_per_epoch
        # else a dense factor that starts at random may take the place of a gene set for good
        n_sets_only = 0 if self.is_trained_ else int(SETS_ONLY * n_steps)
        loss = ClosedFormELBO(self.module)
        plan = SVIPlan(self.module, loss, lr=lr, n_steps=n_steps, n_sets_only=n_sets_only)
        check_monitors(trainer_kwargs, plan.curve_names)
        arguments = {"max_epochs": n_epochs, **sizes, "lr": lr, "seed": self.seed_}
        runner = FactorTrainRunner(
            self,
            training_plan=plan,
            data_splitter=dense_data(self.adata_manager, split),
            max_epochs=n_epochs,
            accelerator=accelerator,
            devices=devices,
            keeper=None if kept is None else kept.keeper(self, split, arguments, trainer_kwargs),
            **{"early_stopping_monitor": "validation_loss", **trainer_kwargs},
        )
        with isolated_rng(self.seed_):
            if not (kept and kept.take_weights(self)):
                self._take_start(split)
            runner()
        self.training_ = arguments
        self._run_start = None

    def _draw_weights(self, seed: int) -> None:
        """Draw the weights of a model that was never trained; leave any other alone."""
        if self.is_trained_:
            return
        with isolated_rng(seed):
            self.module = FSCLVMModule(
                torch.logit(self._prior_inclusion()),
                n_batch=self.summary_stats.n_batch,
                log_normalise=self._log_normalise,
                n_sets=len(self._annotation.names),
            )

    def _prior_inclusion(self) -> torch.Tensor:
        """Prior probability of each weight, (genes, factors)."""
        fpr, fnr = self._rates
        inside = torch.as_tensor(self._annotation.mask != 0)
        sets = torch.where(inside, 1.0 - fnr, fpr)
        sparse = torch.full((len(sets), self._n_sparse), SPARSE_INCLUSION)
        dense = torch.full((len(sets), self._n_dense), DENSE_INCLUSION)
        return torch.cat([sets, sparse, dense], dim=1)

    def _take_start(self, split: Split) -> None:
        self.module.n_cells.fill_(len(split.train))
        if not self.is_trained_:
            rows = np.random.permutation(split.train)[:MAX_CELLS]  # noqa: NPY002 - within isolated_rng
            X = self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
            block, place = held_rows(X, rows).pool(rows)
            batch = np.asarray(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()[rows]
            set_start(self.module, block[place], batch, self._annotation.mask != 0)

    # --- cells -----------------------------------------------------------------------------------------

    @torch.inference_mode()
    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Posterior mean of the factors' scores of cells.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.

        Returns
        -------
        Array (cells, factors) float32.
        """
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        with isolated_rng(0):  # nothing is drawn but the seed of the data loader
            loader = self._make_data_loader(adata=adata, indices=indices, batch_size=batch_size)
            blocks = [self.module.encode(*self.module._get_fn_args_from_batch(t)[0]) for t in loader]
        return torch.cat([block.cpu() for block in blocks]).numpy()

    @torch.inference_mode()
    def get_kl_per_dimension(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """KL of the posterior of each factor's score, by itself, from the prior.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.

        Returns
        -------
        Array (cells, factors) float32, nats. The KL of all scores together is no smaller than their sum.
        """
        mean = self.get_latent_representation(adata, indices, batch_size=batch_size)
        variance = self.module.score_variance().cpu().numpy()
        return 0.5 * (mean**2 + variance - 1.0 - np.log(variance))

    # --- genes -----------------------------------------------------------------------------------------

    @property
    def factor_names(self) -> list[str]:
        """Name of each factor: gene sets, then sparse and dense factors counted from 1."""
        extra = [f"Sparse {i + 1}" for i in range(self._n_sparse)]
        extra += [f"Dense {i + 1}" for i in range(self._n_dense)]
        return [*self._annotation.names, *extra]

    @property
    def factor_kinds(self) -> list[str]:
        """Kind of each factor: "annotated", "sparse" or "dense"."""
        kinds = ["annotated"] * len(self._annotation.names)
        return kinds + ["sparse"] * self._n_sparse + ["dense"] * self._n_dense

    def _gene_table(self, values: torch.Tensor) -> pd.DataFrame:
        genes = pd.Index(registered_genes(self.registry_))
        return pd.DataFrame(values.cpu().numpy(), index=genes, columns=self.factor_names)

    @torch.inference_mode()
    def get_loadings(self) -> pd.DataFrame:
        """Posterior mean of ``z w``: effect of one unit of each factor on the expression of each gene.

        Returns
        -------
        DataFrame (genes, factors); no value is exactly 0.
        """
        return self._gene_table(self.module.q_weights().mean)


def _check_setup(setup: dict[str, Any]) -> None:
    for name in UNUSED_SETUP:
        if setup.get(name):
            raise error("FSCLVM takes no covariates but the batch", got=f"{name}={setup[name]!r}")
