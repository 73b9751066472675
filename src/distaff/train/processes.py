"""Training in several processes, one on each device."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import scvi
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from scvi.train import LoudEarlyStopping, SaveCheckpoint
from torch.nn.parallel import DistributedDataParallel

from distaff._checks import error
from distaff._compat import use_distributed_sampler
from distaff.train.arguments import callback_list
from distaff.train.checkpoint import SharedCheckpoint
from distaff.train.devices import chosen_devices

__all__ = ["check_processes", "data_parallel", "number_of_processes"]

# running averages of batch norm are the same everywhere: they need not be sent before each step
OLD_NAME, NEW_NAME = "broadcast_buffers", "forward_sync_buffers"
IS_NEW = NEW_NAME in signature(DistributedDataParallel).parameters
KEEP_BUFFERS: dict[str, Any] = {NEW_NAME if IS_NEW else OLD_NAME: False}

EARLY_STOPPING = ("monitor", "min_delta", "patience", "mode", "warmup_epochs")
SCRIPT = 'Run a script with strategy="ddp", by itself or through torchrun or srun.'


def number_of_processes(accelerator: str, devices: int | list[int] | str, n_nodes: int) -> int:
    """Processes of a run: one for each device of each machine; "auto" is one device to scvi-tools."""
    chosen = chosen_devices(accelerator, devices)
    return (len(chosen) if isinstance(chosen, list) else int(chosen)) * n_nodes


def data_parallel(options: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    """Arguments of the trainer that take the place of what the user gave.

    Parameters
    ----------
    options
        The user's.
    several
        Whether there are several devices.

    Raises
    ------
    ValueError
        If the processes would be started from within this one, where curves and random numbers would stay
        in them; or if each would write checkpoints.
    """
    strategy = options.get("strategy")
    if isinstance(strategy, str) and any(kind in strategy for kind in ("spawn", "fork", "notebook")):
        raise error("strategy must start processes as scripts", got=repr(strategy), fix=SCRIPT)
    if not several and not use_distributed_sampler(strategy):
        return {}
    changed: dict[str, Any] = {"early_stopping": False, "enable_checkpointing": False}
    if strategy in (None, "auto", "ddp"):
        changed["strategy"] = DDPStrategy(**KEEP_BUFFERS)
    callbacks = _callbacks(options)
    if callbacks:
        changed["callbacks"] = [*callback_list(options), *callbacks]
        changed["check_val_every_n_epoch"] = options.get("check_val_every_n_epoch") or 1
    return changed


def _callbacks(options: Mapping[str, Any]) -> list[Callback]:
    """Early stopping, which scvi-tools leaves out in several processes, and checkpoints of one of them."""
    given = callback_list(options)
    if any(isinstance(one, SaveCheckpoint) and not isinstance(one, SharedCheckpoint) for one in given):
        raise error(
            "callbacks must not have a SaveCheckpoint on several devices, where each process would write it",
            got="one",
            fix="Use enable_checkpointing=True.",
        )
    callbacks: list[Callback] = []
    if options.get("enable_checkpointing"):
        callbacks.append(SharedCheckpoint(monitor=_option(options, "checkpointing_monitor")))
    if options.get("early_stopping"):
        arguments = {name: _option(options, f"early_stopping_{name}") for name in EARLY_STOPPING}
        callbacks.append(LoudEarlyStopping(**arguments))
    return callbacks


def _option(options: Mapping[str, Any], name: str) -> Any:
    """What was asked for, or scvi-tools' default."""
    return options.get(name, signature(scvi.train.Trainer).parameters[name].default)


def check_processes(trainer: Trainer, *, seeded: bool) -> None:
    """Refuse to train in several processes that would not do the same.

    Raises
    ------
    ValueError
        If the processes would draw different random numbers, or are not data parallel.
    """
    if trainer.world_size == 1:
        return
    if not isinstance(trainer.strategy, DDPStrategy):
        raise error(
            'strategy must be "ddp" for several devices', got=type(trainer.strategy).__name__, fix=SCRIPT
        )
    if not seeded:
        raise error(
            "seed must be given for several devices, as each process would draw its own",
            got=None,
            fix="Pass seed=0, or set scvi.settings.seed.",
        )
