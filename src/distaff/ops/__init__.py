"""Pure tensor functions: no state, no networks, no AnnData."""

from distaff.ops.divergences import kl_divergence
from distaff.ops.penalties import batch_capacity_penalty, cell_capacity_penalty
from distaff.ops.schedules import Constant, Cosine, Cyclical, Linear, Schedule, Sigmoid

__all__ = [
    "Constant",
    "Cosine",
    "Cyclical",
    "Linear",
    "Schedule",
    "Sigmoid",
    "batch_capacity_penalty",
    "cell_capacity_penalty",
    "kl_divergence",
]
