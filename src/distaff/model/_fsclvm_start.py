"""Where f-scLVM starts: each gene set's factor at the first principal component of its genes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distaff.module import FSCLVMModule

__all__ = ["MAX_CELLS", "set_start"]

MAX_CELLS = 5000  # enough for a covariance of genes to start from


@torch.no_grad()
def set_start(module: FSCLVMModule, counts: Any, batch: np.ndarray, inside: np.ndarray) -> None:
    """Set intercepts, gene scales, noise and weights from some training cells.

    Parameters
    ----------
    module
        Module that was never trained.
    counts
        Data as registered, (cells, genes), dense or sparse.
    batch
        Index of each cell's batch, (cells,).
    inside
        Whether a gene is in a set, (genes, sets); these are the module's first factors.
    """
    dense = counts.toarray() if hasattr(counts, "toarray") else np.asarray(counts)
    y = module.expression(torch.as_tensor(dense, dtype=torch.float32)).double()
    batches = torch.as_tensor(batch, dtype=torch.long)
    means = _batch_means(y, batches, len(module.intercept))
    y = y - means[batches]
    variance = y.square().mean(0)
    informative = variance > 1e-6 * variance.max()
    typical = variance[informative].mean() if informative.any() else torch.tensor(1.0)
    scale = torch.where(informative, variance, typical).sqrt()
    module.gene_scale.copy_(scale)
    module.intercept.copy_(means / scale)
    y = y / scale
    correlation = (y.T @ y) / len(y)
    for k in range(inside.shape[1]):
        genes = torch.as_tensor(np.flatnonzero(inside[:, k]))
        module.loc[:, k] = 0.0
        module.loc[genes, k] = _first_component(correlation[genes][:, genes]).float()
    module.log_noise.fill_(math.log(0.5))


def _batch_means(y: Tensor, batch: Tensor, n_batch: int) -> Tensor:
    """Mean of each gene in each batch, (batches, genes); that of all cells where a batch has none."""
    overall = y.mean(0)
    rows = [y[batch == b].mean(0) if (batch == b).any() else overall for b in range(n_batch)]
    return torch.stack(rows)


def _first_component(correlation: Tensor) -> Tensor:
    """Loadings of the first principal component with unit scores, its larger side positive; (genes,)."""
    values, vectors = torch.linalg.eigh(correlation)
    loadings = vectors[:, -1] * values[-1].clamp_min(0.0).sqrt()
    return loadings * (1.0 if loadings.sum() >= 0 else -1.0)
