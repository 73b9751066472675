"""Pure tensor functions: no state, no networks, no AnnData."""

from distaff.ops.count_likelihood import linear_count_log_likelihood
from distaff.ops.dip import dip_penalty
from distaff.ops.divergences import kl_divergence
from distaff.ops.hsic import hsic, hsic_matrix
from distaff.ops.penalties import batch_capacity_penalty, cell_capacity_penalty
from distaff.ops.prox import (
    adam_metric,
    prox_group_metric,
    prox_l1_group,
    prox_l1_group_metric,
    proximal_step,
    soft_threshold,
)
from distaff.ops.schedules import Constant, Cosine, Cyclical, Linear, Schedule, Sigmoid
from distaff.ops.sparse_linear import sparse_linear
from distaff.ops.total_correlation import total_correlation

__all__ = [
    "Constant",
    "Cosine",
    "Cyclical",
    "Linear",
    "Schedule",
    "Sigmoid",
    "adam_metric",
    "batch_capacity_penalty",
    "cell_capacity_penalty",
    "dip_penalty",
    "hsic",
    "hsic_matrix",
    "kl_divergence",
    "linear_count_log_likelihood",
    "prox_group_metric",
    "prox_l1_group",
    "prox_l1_group_metric",
    "proximal_step",
    "soft_threshold",
    "sparse_linear",
    "total_correlation",
]
