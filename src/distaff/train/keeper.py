"""Keeps a run on disk between its epochs, and puts it back where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from distaff.train.random_state import random_state, set_random_state
from distaff.train.run_state import run_state, set_run_state

__all__ = ["RunKeeper"]

SHARE_OF_TIME = 0.02  # of a run, at most, that keeping it takes


class RunKeeper(Callback):
    """Writes a run down before an epoch, unless it did so a short time ago.

    Parameters
    ----------
    write
        Writes the state of a run, plain data, wherever it is kept; the weights it takes by itself.
    known
        State to go on from; None to begin.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None], known: dict[str, Any] | None) -> None:
        self.write = write
        self.known = known
        self.next = 0.0  # when writing is due
        self.curves: Callable[[], tuple[dict[str, pd.DataFrame], int]]  # set by the runner

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the run where it was; one that has ended, at its end."""
        del pl_module
        if self.known is None:
            return
        set_run_state(trainer, self.known["trainer"])
        trainer.should_stop = self.known["finished"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Set the random states of an epoch to go on from; write any other down if it is due."""
        if self.known is not None:
            set_random_state(self.known["random"])
            self.known = None
        elif time.monotonic() >= self.next:
            start = time.monotonic()
            pl_module.guard.check_weights()
            self._write(trainer, finished=False)
            end = time.monotonic()
            self.next = end + (end - start) / SHARE_OF_TIME

    def finish(self, trainer: Trainer) -> None:
        """Write down that the run has ended."""
        if self.known is None:
            self._write(trainer, finished=True)

    def _write(self, trainer: Trainer, *, finished: bool) -> None:
        curves, n_before = self.curves()
        self.write(
            {
                "finished": finished,
                "epoch": trainer.current_epoch,
                "curves": curves,
                "n_before": n_before,
                "random": random_state(),
                "trainer": run_state(trainer),
            }
        )
