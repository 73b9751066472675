"""Arguments that go on to Lightning's trainer: those with which it trains nothing, or fails far from here."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from lightning.pytorch.callbacks import Callback

from distaff._checks import check_int, check_number, error

__all__ = ["check_trainer_arguments"]

COUNTS = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "early_stopping_patience": 0}
UNLIMITED = -1  # of max_steps


def check_trainer_arguments(given: Mapping[str, Any]) -> None:
    """Check what has a value among the keywords of ``train``.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If no minibatch would be trained on, or a number is out of its range.
    """
    known = {name: value for name, value in given.items() if value is not None}
    for name in COUNTS.keys() & known:
        check_int(name, known[name], minimum=COUNTS[name])
    if "gradient_clip_val" in known:
        check_number("gradient_clip_val", known["gradient_clip_val"], minimum=0)
    if "max_steps" in known and check_int("max_steps", known["max_steps"], minimum=UNLIMITED) == 0:
        raise error("max_steps must be >= 1, or -1 for no limit", got=0)
    if "limit_train_batches" in known:
        _check_share("limit_train_batches", known["limit_train_batches"])
    callbacks = known.get("callbacks", [])
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if not isinstance(callback, Callback):
            got = type(callback).__name__
            raise error("callbacks must be a list of Lightning's callbacks", got=got, kind=TypeError)


def _check_share(name: str, value: Any) -> None:
    """Check a number of minibatches, or a share of them."""
    if isinstance(value, Integral):
        check_int(name, value, minimum=1)
    else:
        check_number(name, value, above=0, maximum=1)
