"""What a model says of cells that it was not trained on, and where a group lasso leaves no term."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor

from distaff.nn.annotated_decoder import AnnotatedDecoder
from distaff.ops import as_dense, soft_threshold

__all__ = ["largest_lambda_group", "negative_elbo"]

N_DRAWS = 10  # from each posterior; the noise left is far below the spread over cells


@torch.inference_mode()
def negative_elbo(model: Any, cells: np.ndarray, *, batch_size: int, seed: int) -> np.ndarray:
    """Negative ELBO of each cell without penalties, shape (cells,) float64, nats.

    The draws from the posterior depend on ``seed`` alone: two fits of one model see the same ones.
    """
    total = np.zeros(len(cells))
    for draw in range(N_DRAWS):
        elbo = model.get_elbo(
            indices=cells, batch_size=batch_size, return_mean=False, seed=N_DRAWS * seed + draw
        )
        total -= elbo.cpu().double().numpy()
    return total / N_DRAWS


def largest_lambda_group(model: Any, cells: np.ndarray, *, batch_size: int) -> float:
    r"""Strength of the group lasso from which on no term leaves zero.

    A term without loadings stays so if :math:`\lVert S_{\lambda_1}(\nabla_{W_k}) \rVert \le \lambda_3`, with
    the gradient of the reconstruction in nats a cell; here with all terms off and the codes as they are.
    """
    module, decoder = model.module, model.module.decoder
    kept = decoder.weights.raw.detach().clone()
    n_sets = len(model._annotation_names)
    module.eval()
    try:
        with torch.no_grad():
            decoder.weights.raw[:, :n_sets] = 0.0
        gradient = torch.zeros_like(kept)
        for tensors in model._minibatches(None, cells, batch_size):
            gradient += _gradient(module, decoder, tensors) / len(cells)
    finally:
        with torch.no_grad():
            decoder.weights.raw.copy_(kept)
    norms = torch.linalg.vector_norm(soft_threshold(gradient, decoder.l1), dim=0)
    return float(norms[:n_sets].max())


def _gradient(module: Any, decoder: AnnotatedDecoder, tensors: dict[str, Tensor]) -> Tensor:
    """Gradient of the reconstruction of a minibatch, summed over its cells, shape (genes, factors)."""
    x = as_dense(tensors[REGISTRY_KEYS.X_KEY].to(module.device))
    loss = -module.decode_mean(tensors).log_prob(x).sum()
    (gradient,) = torch.autograd.grad(loss, decoder.weights.raw)
    return gradient
