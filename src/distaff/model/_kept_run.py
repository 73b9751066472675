"""A run that is kept in a folder while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Self

from lightning.pytorch.utilities import rank_zero_info

from distaff._checks import check_int, check_path, error
from distaff.model._run_folder import RunFolder
from distaff.model._run_identity import run_identity
from distaff.train import RunKeeper, Split, draw_seed

__all__ = ["KeptRun", "KeptRunMixin"]


class KeptRun:
    """Run of a model, and the folder that it is kept in.

    Parameters
    ----------
    checkpoint_dir
        The folder.
    n_processes
        Number of processes of the run.
    datamodule
        Data module of others that cells come from, if any.

    Raises
    ------
    ValueError
        If there are several processes or a data module, or the folder is damaged.
    """

    def __init__(self, checkpoint_dir: str | PathLike[str], *, n_processes: int, datamodule: Any) -> None:
        if n_processes > 1:
            raise error("devices must be 1 with checkpoint_dir", got=f"{n_processes} processes")
        if datamodule is not None:
            fix = "Nothing tells where such a module is in its cells: leave checkpoint_dir out."
            raise error("datamodule must be None with checkpoint_dir", got=type(datamodule).__name__, fix=fix)
        self.folder = RunFolder(check_path("checkpoint_dir", checkpoint_dir))
        self.known = self.folder.known

    @classmethod
    def of(
        cls, checkpoint_dir: str | PathLike[str] | None, *, n_processes: int = 1, datamodule: Any = None
    ) -> Self | None:
        """Return the run in a folder; None where none was asked for."""
        if checkpoint_dir is None:
            return None
        return cls(checkpoint_dir, n_processes=n_processes, datamodule=datamodule)

    @property
    def seed(self) -> int | None:
        """Seed of the run in the folder, None without one."""
        return None if self.folder.run is None else int(self.folder.run["arguments"]["seed"])

    def keeper(
        self, model: Any, split: Split, arguments: Mapping[str, Any], trainer_arguments: Mapping[str, Any]
    ) -> RunKeeper:
        """Return what writes the run of a model down, once it is certain that it is the one in the folder.

        A run that goes on counts its steps as it did when it began.
        """
        run = run_identity(model, split, arguments, trainer_arguments)
        kept = self.folder.run
        if kept is not None and kept["start"] == model._run_start:
            run["start"] = kept["start"]  # it was interrupted in this process: its weights have moved since
        self.folder.check(run)
        model._run_start = run["start"]
        if self.known is not None:
            state, _ = self.known
            what = "has ended" if state["finished"] else f"goes on after {state['epoch']} epochs"
            rank_zero_info(f"The run in {self.folder.path} {what}.")
            if "steps before" in run["start"]:
                model.module.objective.step = run["start"]["steps before"]
        return RunKeeper(
            lambda state: self.folder.write(state, model.module.state_dict()),
            None if self.known is None else self.known[0],
        )

    def take_weights(self, model: Any) -> bool:
        """Give a model the weights of the run in the folder, if there is one, and say whether there is."""
        if self.known is not None:
            model.module.load_state_dict(self.known[1])
        return self.known is not None


class KeptRunMixin:
    """What models with such runs have in common."""

    _run_start: dict[str, Any] | None = None  # of a run in a folder that has not ended

    def _take_seed(self: Any, seed: int | None, kept: KeptRun | None) -> None:
        """Settle the seed of the run, and draw the weights of a model that has none of value by it."""
        if seed is not None:
            seed = check_int("seed", seed, minimum=0)
        known = None if kept is None else kept.seed
        if seed is None and known is None:
            self.seed_ = draw_seed()
            return
        self.seed_ = known if seed is None else seed
        self._draw_weights(self.seed_)
