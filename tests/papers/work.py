"""Work of trials that run in other processes, which import it."""

import os
import signal
import time

import numpy as np


def square(settings):
    return {"square": settings["x"] ** 2, "nothing": float("nan"), "row": np.arange(settings["x"])}


def fragile(settings):
    """Squares; fails where it is told to, in the way it is told to."""
    how = settings.get("how")
    if how == "raise":
        raise ValueError("no such luck\nat all")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "leave":
        os._exit(3)
    if how == "sleep":
        time.sleep(60)
    return square(settings)
