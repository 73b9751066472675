"""Pure tensor functions: no state, no networks, no AnnData."""

from distaff.ops.divergences import kl_divergence
from distaff.ops.penalties import batch_capacity_penalty, cell_capacity_penalty
from distaff.ops.schedules import Constant, Linear, Schedule

__all__ = [
    "Constant",
    "Linear",
    "Schedule",
    "batch_capacity_penalty",
    "cell_capacity_penalty",
    "kl_divergence",
]
