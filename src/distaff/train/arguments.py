"""Arguments that go on to Lightning's trainer: those with which it trains nothing, or fails far from here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from inspect import signature
from numbers import Integral
from typing import Any

import scvi
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler

from distaff._checks import check_choice, check_flag, check_int, check_number, error, reason
from distaff.train.devices import REFUSALS

__all__ = ["callback_list", "check_monitors", "check_trainer_arguments", "refused"]

COUNTS = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "early_stopping_patience": 0}
COUNTS |= {"log_every_n_steps": 0, "min_epochs": 0, "num_nodes": 1, "num_sanity_val_steps": -1}
NEVER_NONE = {"accumulate_grad_batches", "detect_anomaly", "num_nodes"}
UNLIMITED = -1  # of max_steps
TRAINERS = (Trainer, scvi.train.Trainer)  # the second hands on to the first what it does not know
OTHER_NAMES = dict.fromkeys(("epochs", "n_epochs", "num_epochs", "num_train_epochs"), "max_epochs")
OTHER_NAMES |= {"learning_rate": "lr", "plan_kwargs": "lr", "use_gpu": "accelerator", "random_state": "seed"}
MONITORS = {"early_stopping": "early_stopping_monitor", "enable_checkpointing": "checkpointing_monitor"}


def check_trainer_arguments(given: Mapping[str, Any], *, own: Collection[str]) -> None:
    """Check what goes on from ``train``, which has arguments of its ``own``: the names, and what has a value.

    Raises
    ------
    TypeError
        If there is no such argument, or one is of another kind.
    ValueError
        If no minibatch would be trained on, or a number is out of its range.
    """
    _check_names(given, own)
    known = {name: value for name, value in given.items() if value is not None or name in NEVER_NONE}
    for name in COUNTS.keys() & known:
        check_int(name, known[name], minimum=COUNTS[name])
    if "gradient_clip_val" in known:
        check_number("gradient_clip_val", known["gradient_clip_val"], minimum=0)
    if "max_steps" in known and check_int("max_steps", known["max_steps"], minimum=UNLIMITED) == 0:
        raise error("max_steps must be >= 1, or -1 for no limit", got=0)
    if "limit_train_batches" in known:
        _check_share("limit_train_batches", known["limit_train_batches"])
    if "detect_anomaly" in known:
        check_flag("detect_anomaly", known["detect_anomaly"])
    if not isinstance(known.get("profiler"), str):
        _check_kind("profiler", known.get("profiler", []), Profiler)
    _check_kind("callbacks", known.get("callbacks", []), Callback)
    if not isinstance(known.get("logger"), bool):
        _check_kind("logger", known.get("logger", []), Logger)


def _check_names(given: Collection[str], own: Collection[str]) -> None:
    taken = {name for trainer in TRAINERS for name in signature(trainer).parameters}
    taken.add("trainer_config")  # of scvi-tools' runner: more of them in one
    known = sorted((taken | set(own)) - {"kwargs", "trainer_kwargs"})
    for name in given:
        if name not in taken:
            close = [OTHER_NAMES[name]] if name in OTHER_NAMES else get_close_matches(name, known, n=1)
            fix = f"Did you mean {close[0]}?" if close else ""
            rule = "train must be given arguments of its own or of Lightning's trainer"
            raise error(rule, got=repr(name), fix=fix, kind=TypeError)


def _check_kind(name: str, value: Any, kind: type) -> None:
    """Check for one object of Lightning, or a list of such."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(one, kind):
            rule = f"{name} must be a list of Lightning's {kind.__name__.lower()}s"
            raise error(rule, got=type(one).__name__, kind=TypeError)


def _check_share(name: str, value: Any) -> None:
    """Check a number of minibatches, or a share of them."""
    if isinstance(value, Integral):
        check_int(name, value, minimum=1)
    else:
        check_number(name, value, above=0, maximum=1)


def check_monitors(given: Mapping[str, Any], curves: Collection[str]) -> None:
    """Check that what is watched is one of ``curves``; a callback of the user may log others.

    Raises
    ------
    ValueError
        If there is no such curve.
    """
    if callback_list(given):
        return
    for purpose, name in MONITORS.items():
        if given.get(purpose) and name in given:
            check_choice(name, given[name], curves)


def callback_list(given: Mapping[str, Any]) -> list[Callback]:
    """Callbacks of the user, who may give one alone, in a list of our own."""
    callbacks = given.get("callbacks") or []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def refused(given: Mapping[str, Any], problem: Exception) -> Exception:
    """Return the error for arguments that the trainer refused: the first that it refuses by itself."""
    own = signature(scvi.train.TrainRunner).parameters
    for name, value in given.items():
        if name in own:
            continue
        try:
            scvi.train.Trainer(**{"accelerator": "cpu", "devices": 1, "logger": False, name: value})
        except REFUSALS as alone:
            kind = TypeError if isinstance(alone, TypeError) else ValueError
            rule = f"{name} must be what Lightning's trainer takes"
            return error(rule, got=f"{value!r} ({reason(alone)})", kind=kind)
    return error("Arguments of the trainer must go together", got=f"others ({reason(problem)})")
