"""``train`` of all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from math import ceil
from os import PathLike
from typing import Any

import scvi

from distaff._checks import check_flag, error
from distaff.model._kept_run import KeptRun, KeptRunMixin
from distaff.model._noise_floor import set_noise_floor
from distaff.train import (
    MOST_EPOCHS,
    CellData,
    FactorTrainingPlan,
    FactorTrainRunner,
    ForeignData,
    LearningRatePhases,
    check_monitors,
    check_processes,
    check_trainer_arguments,
    data_parallel,
    isolated_rng,
    number_of_cells,
    number_of_epochs,
    number_of_processes,
    split_cells,
)

__all__ = ["TrainingMixin"]

CHUNK_SIZE = 64  # minibatches between two looks of the trainer
# arguments of the trainer by which it interferes with single optimiser steps
STEPWISE = {
    "accumulate_grad_batches",
    "fast_dev_run",
    "gradient_clip_val",
    "limit_train_batches",
    "max_steps",
    "min_steps",
    "num_nodes",
    "overfit_batches",
    "precision",
    "strategy",
    "val_check_interval",
}


class TrainingMixin(KeptRunMixin):
    """``train`` of all models."""

    _learning_rate = 1e-3
    _most_epochs = MOST_EPOCHS

    def train(
        self: Any,
        max_epochs: int | str | None = None,
        *,
        batch_size: int = 128,
        train_size: float | None = None,
        validation_size: float | None = None,
        shuffle_set_split: bool = True,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        early_stopping: bool = False,
        lr: float | None = None,
        lr_schedule: Sequence[tuple[int, float]] | None = None,
        weight_decay: float = 1e-6,
        eps: float = 0.01,
        seed: int | None = None,
        datamodule: Any | None = None,
        checkpoint_dir: str | PathLike[str] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model; a second call goes on where the first ended.

        Parameters
        ----------
        max_epochs
            Number of epochs. None takes those of ``lr_schedule`` or, without one, scvi-tools' heuristic
            (400, fewer above 20,000 cells; a quarter of it for :class:`~distaff.model.ProgramVAE` and
            :class:`~distaff.model.AnnotatedVAE`, which start near their end); ``"1e6/N"`` is the rule of
            :cite:t:`Svensson20`.
        batch_size
            Cells a minibatch, on each device. A last minibatch of fewer than three cells is left out of its
            epoch.
        train_size
            Share of the cells to train on; None for 0.9.
        validation_size
            Share of the cells to validate on; None for all others.
        shuffle_set_split
            Draw the two sets at random; else validation cells come first.
        accelerator
            ``"cpu"``, ``"gpu"``, ``"mps"`` or ``"auto"``.
        devices
            Devices of the accelerator: how many, or which; ``"auto"`` for one. Several train as one would
            with minibatches of all together, each in a process of its own that runs the whole script.
        early_stopping
            Stop when the validation value of the loss that is optimised no longer falls, once all
            schedules (KL warm-up, capacity) have finished.
        lr
            Learning rate of Adam, where there is no ``lr_schedule``; None for that of the model: 1e-3, but
            5e-3 for :class:`~distaff.model.ProgramVAE`.
        lr_schedule
            Phases of (epochs, learning rate), such as ``((400, 1e-4), (200, 1e-5))``.
        weight_decay
            L2 penalty of Adam.
        eps
            Term in Adam's denominator.
        seed
            Seed of all that is random in the run, and of the initial weights of a model that was never
            trained. None takes ``scvi.settings.seed`` or, without it, a fresh one, kept in ``seed_``. The
            global random generators are left as they were.
        datamodule
            Data module of scvi-tools that the cells come from (annbatch, a Census in TileDB-SOMA, Lamin),
            where the model was built with its registry. It shuffles and splits the cells in its own way, and
            takes minibatches of its own size unless it can be told another.
        checkpoint_dir
            Folder to keep the run in. If it was killed, the same call on a new model of the same data goes on
            after the last epoch that is there, and ends, on the CPU bit for bit, as if nothing had happened;
            a run that has ended is taken from there at once. On one device, and without a data module.
        **trainer_kwargs
            Further arguments of :class:`scvi.train.Trainer`, such as ``check_val_every_n_epoch=1`` for
            validation curves. A step of the trainer is a chunk of up to 64 minibatches, each with an
            optimiser step of its own; with several devices, or an argument that concerns single steps
            (``gradient_clip_val``, ``max_steps``, ``precision`` and the like), it is one minibatch.

        Raises
        ------
        ValueError
            If a number is out of its range, the data are too few, or ``checkpoint_dir`` holds another run: of
            other data, other arguments, or a model that began otherwise.
        distaff.train.DivergenceError
            If the loss is no longer finite, or a cell costs 10,000 times what it did at the start.

        Notes
        -----
        Counts stay sparse and are read minibatch by minibatch, from memory, a backed ``.h5ad`` or a zarr
        store whose matrix is kept cell by cell; cells on disk are shuffled by blocks. A start (``init``) is
        taken from at most 20,000 cells, drawn at random.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.model.BetaVAE.setup_anndata(adata)
        >>> model = ds.model.BetaVAE(adata, n_latent=4)
        >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
        >>> list(model.history["train_loss"].index)
        [0, 1]
        """
        if self.adata is None and datamodule is None:
            raise ValueError(
                "The model has no data to train on. Load it with adata=..., or pass datamodule=..."
            )
        check_trainer_arguments(trainer_kwargs, own=signature(self.train).parameters)
        self._check_not_minified()
        self._check_trainable()
        check_flag("early_stopping", early_stopping)
        phases = None if lr_schedule is None else LearningRatePhases(lr_schedule)
        n_cells = self.adata.n_obs if datamodule is None else number_of_cells(datamodule)
        n_epochs = number_of_epochs(max_epochs, n_cells, phases, most=self._most_epochs)
        n_processes = number_of_processes(accelerator, devices, trainer_kwargs.get("num_nodes", 1))
        kept = KeptRun.of(checkpoint_dir, n_processes=n_processes, datamodule=datamodule)
        seeded = (seed, scvi.settings.seed) != (None, None)
        self._take_seed(seed, kept)
        chunk_size = CHUNK_SIZE if n_processes == 1 and not STEPWISE & trainer_kwargs.keys() else None
        sizes: dict[str, Any] = {"batch_size": batch_size, "train_size": train_size}
        sizes |= {"validation_size": validation_size, "shuffle": shuffle_set_split}
        data: CellData | ForeignData
        if datamodule is None:
            split = split_cells(n_cells, **sizes, seed=self.seed_)
            split = replace(split, batch_size=split.batch_size * n_processes)
            data = CellData(self.adata_manager, split, chunk_size=chunk_size)
            steps_per_epoch = split.steps_per_epoch
        else:
            if n_processes > 1:
                raise error("devices must be 1 for a data module", got=repr(devices))
            data = module_data = self._module_data(datamodule, **sizes)
            chunk_size, steps_per_epoch = None, module_data.steps_per_epoch(batch_size)
        if early_stopping and not data.validates:
            raise error("Early stopping needs validation cells", got="none", fix="Lower train_size.")
        rates: dict[str, Any] = {"lr": self._first_rate(lr, phases), "weight_decay": weight_decay, "eps": eps}
        plan = FactorTrainingPlan(self.module, phases=phases, chunks=chunk_size is not None, **rates)
        check_monitors({"early_stopping": early_stopping, **trainer_kwargs}, plan.curve_names)
        arguments = {"max_epochs": n_epochs, **sizes, **rates, "seed": self.seed_}
        arguments |= {"early_stopping": early_stopping, "lr_schedule": phases and phases.plain()}
        keeper = None if kept is None else kept.keeper(self, split, arguments, trainer_kwargs)
        self._settle_schedules(steps_per_epoch, n_epochs)
        defaults = self._early_stopping_defaults(steps_per_epoch)
        options = {"early_stopping": early_stopping, **defaults, **trainer_kwargs}
        runner = FactorTrainRunner(
            self,
            training_plan=plan,
            data_splitter=data,
            max_epochs=n_epochs,
            accelerator=accelerator,
            devices=devices,
            keeper=keeper,
            **{**options, **data_parallel(options, several=n_processes > 1)},
        )
        check_processes(runner.trainer, seeded=seeded)
        with isolated_rng(self.seed_):
            if datamodule is None and not (kept and kept.take_weights(self)):
                self._take_start(split)
            self.module.train()  # a model that was loaded or trained before is in evaluation mode
            runner()
        self.training_ = arguments
        if datamodule is None and not self.from_reference_:
            set_noise_floor(self, split.train)
        self._run_start = None

    def _first_rate(self: Any, lr: float | None, phases: LearningRatePhases | None) -> float:
        if phases is not None:
            return phases(0)
        return self._learning_rate if lr is None else lr

    def _early_stopping_defaults(self: Any, steps_per_epoch: int) -> dict[str, Any]:
        """Watch the loss that is optimised, from the epoch on in which its schedules have ended."""
        objective = self.module.objective
        left = max((term.schedule.n_steps or 0) - objective.step for term in objective.terms)
        return {
            "early_stopping_monitor": "validation_loss",
            "early_stopping_warmup_epochs": ceil(max(0, left) / steps_per_epoch),
        }
