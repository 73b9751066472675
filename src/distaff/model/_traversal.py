"""What a decoder does to expression when one factor moves, for any model of scvi-tools with a decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Normal

from distaff.train import isolated_rng

__all__ = ["mean_effects"]


@torch.inference_mode()
def mean_effects(
    model: Any,
    adata: AnnData,
    Z: NDArray[np.float32],
    bounds: NDArray[np.float32],
    *,
    cells: NDArray[np.int64],
    batch_size: int | None,
) -> NDArray[np.float64]:
    """Mean over cells of the change in log expression between two values of each factor.

    Minibatch by minibatch, so that memory does not grow with the number of cells.

    Parameters
    ----------
    model
        Model with an inference and a generative part.
    adata
        Cells that the model has validated.
    Z
        (cells, factors), the latent of all of them.
    bounds
        (2, factors), first and last value.
    cells
        Positions of the cells to decode.
    batch_size
        Cells a minibatch.

    Returns
    -------
    Array (genes, factors).
    """
    total, done = np.zeros((adata.n_vars, Z.shape[1])), 0
    ends = torch.from_numpy(bounds)
    with isolated_rng(0):  # nothing that is drawn is used
        for tensors in model._make_data_loader(adata=adata, indices=cells, batch_size=batch_size):
            decode, n = _decoder(model.module, tensors), len(next(iter(tensors.values())))
            z = torch.from_numpy(Z[cells[done : done + n]])
            for factor in range(Z.shape[1]):
                low, high = (decode(_moved(z, factor, value)) for value in ends[:, factor])
                total[:, factor] += (high - low).cpu().double().sum(dim=0).numpy()
            done += n
    return total / len(cells)


def _moved(z: Tensor, factor: int, value: Tensor) -> Tensor:
    moved = z.clone()
    moved[:, factor] = value
    return moved


def _decoder(module: Any, tensors: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """Map from the latent of the cells of a minibatch to their log expression, (cells, genes)."""
    inferred = module.inference(**module._get_inference_input(tensors))

    def decode(z: Tensor) -> Tensor:
        inputs = module._get_generative_input(tensors, {**inferred, "z": z})
        px = module.generative(**inputs)["px"]
        expression = px.get_normalized("scale")
        if isinstance(px, Normal):  # of values that are on a log scale already
            return expression
        return expression.clamp(min=torch.finfo(expression.dtype).tiny).log()

    return decode
