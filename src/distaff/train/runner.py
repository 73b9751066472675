"""Runs a training plan and keeps its curves."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from scvi.train import TrainRunner

from distaff._checks import error
from distaff.train.arguments import callback_list, refused
from distaff.train.curves import CurveLogger, curve_logger
from distaff.train.devices import REFUSALS
from distaff.train.hints import without_hints
from distaff.train.keeper import RunKeeper

__all__ = ["FactorTrainRunner", "curves_of"]


def curves_of(model: Any) -> tuple[dict[str, pd.DataFrame], int]:
    """Curves of a model that was trained, none of any other, and their number of epochs."""
    known = (model.history_ or {}) if model.is_trained_ else {}
    return known, len(known["train_loss"]) if "train_loss" in known else 0


class FactorTrainRunner(TrainRunner):
    """scvi-tools' runner, whose history goes on in a second run and holds vectors too.

    Each curve is a table with the epoch as index: one column for a number, one a dimension for the KL of
    each dimension. Epochs go on counting over several runs. Several processes have the same curves, those
    of the first. A ``keeper`` writes the run down; where it knows one to go on from, the curves go on too.
    """

    @without_hints()
    def __init__(
        self,
        *args: Any,
        keeper: RunKeeper | None = None,
        **kwargs: Any,
    ) -> None:
        self.keeper = keeper
        kwargs["callbacks"] = callback_list(kwargs)  # the trainer adds to it
        if keeper is not None:
            kwargs["callbacks"].append(keeper)
            keeper.curves = lambda: (self.curves(), self.past[1])
        with warnings.catch_warnings():  # data_parallel() puts it back
            warnings.filterwarnings("ignore", message="early_stopping was automatically disabled")
            try:
                super().__init__(*args, **{**kwargs, "logger": _logger(kwargs)})
            except REFUSALS as problem:
                raise refused(kwargs, problem) from problem
        if curve_logger(self.trainer.loggers) is None:  # the user's own loggers do not keep the curves
            self.trainer.loggers = [*self.trainer.loggers, CurveLogger()]
        known = keeper.known if keeper else None
        self.past = curves_of(self.model) if known is None else (known["curves"], known["n_before"])

    @without_hints()
    def _run_training_core(self) -> None:
        if self.trainer.world_size > 1:
            self.device = self.trainer.strategy.root_device  # for scvi-tools it is the first one
        was_trained = self.model.is_trained_
        seed = os.environ.pop("PL_GLOBAL_SEED", None)  # with it the trainer would seed all generators anew
        try:
            super()._run_training_core()
        finally:
            if seed is not None:
                os.environ["PL_GLOBAL_SEED"] = seed
        if self.trainer.current_epoch == 0:
            self.model.is_trained_ = was_trained
            fix = "Something stopped it before: max_time, max_steps or a callback."
            raise error("Training must end an epoch", got="none", fix=fix)
        self.model.history_ = self.trainer.strategy.broadcast(self.model.history_)
        if self.keeper is not None:
            self.keeper.finish(self.trainer)

    def _update_history(self) -> None:
        if self.trainer.is_global_zero:  # the loggers of others keep nothing
            self.model.history_ = self.curves()

    def curves(self) -> dict[str, pd.DataFrame]:
        """Curves so far, those of runs before this one included."""
        old, n_before = self.past
        new = {name: curve.astype(float) for name, curve in self._logged().items()}
        for name, rows in self.training_plan.dimension_curves.items():
            loss = new.get("train_loss" if name.endswith("train") else "validation_loss")
            if loss is not None:  # an epoch that was interrupted has rows, but is not logged
                values = torch.stack(rows).numpy()[: len(loss)]
                columns = [str(i) for i in range(values.shape[1])]
                new[name] = pd.DataFrame(values, index=loss.index[: len(values)], columns=columns)
        for curve in new.values():
            curve.index = (curve.index + n_before).astype(int)
            curve.index.name = "epoch"
        known = {name: [curve] for name, curve in old.items()}
        return {
            name: pd.concat([*known.get(name, []), *([new[name]] if name in new else [])])
            for name in [*old, *(name for name in new if name not in old)]
        }

    def _logged(self) -> dict[str, pd.DataFrame]:
        """Curves of the logger."""
        logger = curve_logger(self.trainer.loggers)
        return {} if logger is None else logger.history


def _logger(options: Mapping[str, Any]) -> Any:
    """The user's choice, or one that keeps the curves."""
    if options.get("logger") is not None:
        return options["logger"]
    place = options.get("log_save_dir")
    return CurveLogger(save_dir=place, save_log_on_disk=place is not None)
