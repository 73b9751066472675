"""Where a run is: all that it knows beside weights, random states and curves, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loops import _Loop
from scvi.train import LoudEarlyStopping

from distaff._compat import UNSAVED_OF_EARLY_STOPPING
from distaff.train.optimiser_state import optimiser_state, set_optimiser_state

__all__ = ["run_state", "set_run_state"]


def run_state(trainer: Any) -> dict[str, Any]:
    """State of a trainer between two epochs."""
    loops = trainer.fit_loop.state_dict()
    for count in loops["epoch_progress"].values():
        if isinstance(count, dict):
            count["ready"] = count["completed"]  # where an epoch is about to begin, it has not yet
    return {
        "loops": loops,
        "step": trainer.lightning_module.counter.step,
        "optimisers": [optimiser_state(optimiser) for optimiser in trainer.optimizers],
        "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "callbacks": {callback.state_key: _of(callback) for callback in _callbacks(trainer)},
    }


def set_run_state(trainer: Any, state: dict[str, Any]) -> None:
    """Restore what :func:`run_state` returned, once the trainer has its optimisers."""
    trainer.fit_loop.load_state_dict(state["loops"])
    for loop in _loops(trainer.fit_loop):
        loop.on_iteration_done()  # it goes on with a new epoch: there is none to be finished
    trainer.lightning_module.counter.step = state["step"]
    for optimiser, known in zip(trainer.optimizers, state["optimisers"], strict=True):
        set_optimiser_state(optimiser, known)
    for config, known in zip(trainer.lr_scheduler_configs, state["schedulers"], strict=True):
        config.scheduler.load_state_dict(known)
    for callback in _callbacks(trainer):
        if callback.state_key in state["callbacks"]:
            _restore(callback, state["callbacks"][callback.state_key])


def _callbacks(trainer: Any) -> list[Callback]:
    """Those that know something."""
    return [callback for callback in trainer.callbacks if _of(callback)]


def _of(callback: Callback) -> dict[str, Any]:
    state = dict(callback.state_dict())
    if isinstance(callback, LoudEarlyStopping):
        state |= {name: getattr(callback, name) for name in UNSAVED_OF_EARLY_STOPPING}
    return state


def _restore(callback: Callback, state: dict[str, Any]) -> None:
    state = dict(state)
    if isinstance(callback, LoudEarlyStopping):
        for name in UNSAVED_OF_EARLY_STOPPING:
            setattr(callback, name, state.pop(name))
    callback.load_state_dict(state)


def _loops(loop: _Loop) -> Iterator[_Loop]:
    yield loop
    for child in vars(loop).values():
        if isinstance(child, _Loop):
            yield from _loops(child)
