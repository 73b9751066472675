"""The numbers of an epoch: from the plan to callbacks, progress bar and loggers, and kept as curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger

from distaff._compat import SimpleLogger

__all__ = ["CurveLogger", "curve_logger", "publish"]


class _Curves:
    """Values of each curve by the time they were logged at, as tables when someone looks."""

    def __init__(self) -> None:
        self.values: dict[str, dict[float | None, float]] = {}
        self.units: dict[str, str] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add one value to each curve, at its step or epoch."""
        unit = next((unit for unit in ("step", "epoch") if unit in metrics), "step")
        time = metrics.pop(unit, step)
        for name, value in metrics.items():
            self.units.setdefault(name, unit)
            self.values.setdefault(name, {})[time] = float(value)

    @property
    def data(self) -> dict[str, pd.DataFrame]:
        """One table with one column for each curve."""
        return {
            name: pd.DataFrame({name: list(values.values())}, index=pd.Index(list(values), name=unit))
            for (name, values), unit in zip(self.values.items(), self.units.values(), strict=True)
        }


class CurveLogger(SimpleLogger):
    """scvi-tools' logger in memory, which grows its tables row by row at half a millisecond a value."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._experiment = _Curves()


def curve_logger(loggers: Iterable[Logger]) -> CurveLogger | None:
    """That which keeps the curves, among the loggers of a trainer."""
    return next((logger for logger in loggers if isinstance(logger, CurveLogger)), None)


def publish(trainer: Trainer, curves: Mapping[str, float], *, shown: str) -> None:
    """Give the numbers of an epoch to all who may wait for them.

    The ``log`` of a Lightning module does the same at half a millisecond a value, as it prepares for
    averages over minibatches; these numbers are averages already.

    Parameters
    ----------
    trainer
        Trainer; with several processes its callbacks and loggers see means over them.
    curves
        Number of each curve.
    shown
        Name of the one that the progress bar shows, if it is there.
    """
    values = torch.tensor(list(curves.values()), dtype=torch.float32)
    if trainer.world_size > 1:
        reduced = trainer.strategy.reduce(values.to(trainer.strategy.root_device), reduce_op="mean")
        values = torch.as_tensor(reduced).cpu()
    found = dict(zip(curves, values, strict=True))
    trainer.callback_metrics.update(found)
    trainer.logged_metrics.update(found)
    numbers = {name: float(value) for name, value in found.items()}
    if shown in numbers:
        trainer.progress_bar_metrics[shown] = numbers[shown]
    for logger in trainer.loggers:
        logger.log_metrics({**numbers, "epoch": trainer.current_epoch}, step=trainer.global_step)
        logger.save()
