"""Save models in child processes that are killed; started by ``test_saved_kill.py``.

The two models are those in the folders ``old`` and ``new`` below the first argument. Each line of the input is a
folder and a number of the step at which a child kills itself while it saves the new one there, or 0 for a child that
saves them in turns until it is killed from outside. The answer is the child's process id, then a line at its end.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from itertools import cycle
from pathlib import Path

warnings.simplefilter("ignore")

from distaff.model import BetaVAE  # noqa: E402


def kill_at(step: int) -> None:
    """Have this process killed right before the given call that changes the disk."""
    left = [step]

    def counting(call):
        def counted(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    os.fsync = counting(os.fsync)
    for name in ("open", "replace", "unlink", "mkdir"):
        setattr(Path, name, counting(getattr(Path, name)))


def child(folder: Path, step: int, models: list[BetaVAE]) -> None:
    if step:
        kill_at(step)
        models[1].save(folder, overwrite=True, save_anndata=True)
    else:
        for model in cycle(models):
            model.save(folder, overwrite=True, save_anndata=True)


def main() -> None:
    models = [BetaVAE.load(Path(sys.argv[1]) / name) for name in ("old", "new")]
    print("ready", flush=True)
    for line in sys.stdin:
        folder, step = line.rstrip("\n").split("\t")
        process = os.fork()
        if process == 0:
            try:
                child(Path(folder), int(step), models)
            finally:
                os._exit(0)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print("killed" if os.WIFSIGNALED(status) else "done", flush=True)


if __name__ == "__main__":
    main()
