"""Pure tensor functions: no state, no networks, no AnnData."""

from distaff.ops.batch_norm import fold_batch_norm
from distaff.ops.count_likelihood import linear_count_log_likelihood
from distaff.ops.csr import is_csr32
from distaff.ops.dip import dip_penalty
from distaff.ops.divergences import kl_divergence
from distaff.ops.hidden_layer import hidden_layer
from distaff.ops.hsic import hsic, hsic_matrix
from distaff.ops.parts import Part, cell_mean, gather_cells, held_part, holding, noise, rsample
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
from distaff.ops.sparse import as_dense, is_sparse, linear_map, log1p, row_sums
from distaff.ops.sparse_linear import sparse_linear
from distaff.ops.tiled_linear import tiled, tiled_linear
from distaff.ops.total_correlation import total_correlation

__all__ = [
    "Constant",
    "Cosine",
    "Cyclical",
    "Linear",
    "Part",
    "Schedule",
    "Sigmoid",
    "adam_metric",
    "as_dense",
    "batch_capacity_penalty",
    "cell_capacity_penalty",
    "cell_mean",
    "dip_penalty",
    "fold_batch_norm",
    "gather_cells",
    "held_part",
    "hidden_layer",
    "holding",
    "hsic",
    "hsic_matrix",
    "is_csr32",
    "is_sparse",
    "kl_divergence",
    "linear_count_log_likelihood",
    "linear_map",
    "log1p",
    "noise",
    "prox_group_metric",
    "prox_l1_group",
    "prox_l1_group_metric",
    "proximal_step",
    "row_sums",
    "rsample",
    "soft_threshold",
    "sparse_linear",
    "tiled",
    "tiled_linear",
    "total_correlation",
]
