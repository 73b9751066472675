"""Which device: what Lightning does not take is said in our words, before anything is done."""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from distaff._checks import error, reason
from distaff._compat import parse_device_args

__all__ = ["REFUSALS", "chosen_device", "chosen_devices"]

# with which Lightning and scvi-tools refuse what they cannot use
REFUSALS: tuple[type[Exception], ...] = (AttributeError, ImportError, LookupError)
REFUSALS += (MisconfigurationException, RuntimeError, TypeError, ValueError)
FIX = {
    "accelerator": 'Write "cpu", "gpu", "mps" or "auto".',
    "devices": 'Write how many, a list of their numbers, or "auto".',
    "device": 'Write its number, or "auto".',
}


def chosen_devices(accelerator: Any, devices: Any) -> Any:
    """Devices of the accelerator: a list of their numbers, or how many.

    Raises
    ------
    ValueError
        If this machine has no such accelerator, or it no such devices.
    """
    return _parsed(accelerator, devices, name="devices")[1]


def chosen_device(accelerator: Any, device: Any) -> torch.device:
    """One device, as torch knows it.

    Raises
    ------
    ValueError
        If this machine has no such accelerator, or it no such device, or it is several.
    """
    return _parsed(accelerator, device, name="device")[2]  # type: ignore[no-any-return]


def _parsed(accelerator: Any, devices: Any, *, name: str) -> tuple[Any, Any, Any]:
    single = name == "device"
    try:
        return _ask(accelerator, devices, single=single)
    except REFUSALS as problem:
        first = problem
    try:
        _ask(accelerator, "auto", single=single)
    except REFUSALS as problem:
        got = f"{accelerator!r} ({reason(problem)})"
        rule = "accelerator must be one of this machine"
        raise error(rule, got=got, fix=FIX["accelerator"]) from problem
    got = f"{devices!r} ({reason(first)})"
    raise error(f"{name} must fit accelerator={accelerator!r}", got=got, fix=FIX[name]) from first


def _ask(accelerator: Any, devices: Any, *, single: bool) -> tuple[Any, Any, Any]:
    return parse_device_args(  # type: ignore[no-any-return]
        accelerator=accelerator, devices=devices, return_device="torch", validate_single_device=single
    )
