"""Running averages of a batch norm, seen as arrays."""

from __future__ import annotations

import numpy as np

from distaff.nn.layers import BATCH_NORM_MOMENTUM, BatchNorm
from distaff.ops.kernels.hidden import follow

__all__ = ["RunningMoments"]


class RunningMoments:
    """Moments that evaluation normalises by.

    Parameters
    ----------
    norm
        Batch norm that owns them.
    """

    def __init__(self, norm: BatchNorm) -> None:
        self.mean, self.variance = norm.running_mean.numpy(), norm.running_var.numpy()
        self.count = norm.num_batches_tracked.numpy()

    def follow(self, mean: np.ndarray, variance: np.ndarray, n_cells: int) -> None:
        """Move towards the moments of a minibatch, as :meth:`~distaff.nn.layers.BatchNorm.follow` does."""
        unbiased = n_cells / max(n_cells - 1, 1)
        follow(self.mean, self.variance, mean, variance, BATCH_NORM_MOMENTUM, unbiased)
        self.count += 1
